"""The settings of Sluice for clusters under test: handlers of their own, and limits to run into."""

from __future__ import annotations

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS, OUTBOX_QUEUES

INSTALLED_APPS = [*INSTALLED_APPS, "tests.integration.cluster_app"]

RATE_PER_SECOND = 20.0
OUTBOX_QUEUES = {
    **OUTBOX_QUEUES,
    "send_email": {**OUTBOX_QUEUES["send_email"], "rate_per_second": RATE_PER_SECOND},
    # Shorter than its breaker's waits.
    "create_payment": {**OUTBOX_QUEUES["create_payment"], "backoff_seconds": 0.2},
}
