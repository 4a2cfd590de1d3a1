"""The functions that django-q2 runs; `outbox.broker` names them."""

from __future__ import annotations

import logging
import sys

from django.db import DatabaseError, InterfaceError

from outbox import broker, delivery, relay_run
from outbox.models import Outcome

logger = logging.getLogger(__name__)


def deliver(queue: str, row_id: int) -> None:
    """Make one attempt at the row with this id.

    A cluster that is stopping starts nothing more; the relay finds the row still queued. If the
    database is away the row keeps its state, or its lease runs out: both bring it back.
    """
    if broker.is_draining():
        return
    try:
        outcome = delivery.deliver(queue, row_id)
    except (DatabaseError, InterfaceError):
        logger.exception("delivery cut off row=%d", row_id)
        return
    if outcome == Outcome.TIMED_OUT and not broker.is_draining():
        # The handler was cut off at an unknown line: this process is not to be trusted any more.
        # A stopping cluster replaces no worker, and waits for one to take what it has popped.
        sys.exit(f"worker ends after a timeout, row={row_id}")


def run_relay() -> None:
    """Be the relay until a younger run has taken over."""
    relay_run.run()
