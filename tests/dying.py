"""Delivering a row in a process of its own that is killed at a line, as a power cut would."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from django.db.models.functions import Now

from outbox.models import Outbox
from outbox.repair import expire_leases
from runtime.state import PROJECT_DIR
from tests.integration.clusters import cluster_environment

CHILD_SECONDS = 60


def deliver_and_die(
    row: Outbox, *, at: str, when: str, state_dir: Path, environment: dict[str, str] | None = None
) -> None:
    """Deliver the row in a process that kills itself before or after the function called `at`."""
    Outbox.objects.filter(pk=row.pk).update(state="queued", queued_at=Now())
    command = [sys.executable, "-m", "tests.dying_delivery", row.queue, str(row.pk), at, when]
    ended = subprocess.run(
        command,
        cwd=PROJECT_DIR,
        env=cluster_environment(state_dir) | (environment or {}),
        timeout=CHILD_SECONDS,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL


def let_lease_run_out() -> None:
    """What happens by itself after a while to the row of a process that was killed."""
    Outbox.objects.filter(state="processing").update(lease_expires_at=Now() - timedelta(seconds=1))
    assert expire_leases() == 1
    Outbox.objects.filter(state="pending").update(available_at=Now())
