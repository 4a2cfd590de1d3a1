"""The functions that django-q2 runs; `outbox.broker` names them."""

from __future__ import annotations

import logging
import sys

from django.db import DatabaseError, InterfaceError

from outbox import relay_run
from outbox.draining import is_draining
from outbox.turn import Turn

logger = logging.getLogger(__name__)


def take_turn(queue: str) -> None:
    """Deliver rows of the queue for a while.

    If the database is away, rows keep their state, or their leases run out: both bring them back.
    """
    turn = Turn(queue)
    try:
        turn.run()
    except (DatabaseError, InterfaceError):
        logger.exception("turn cut off queue=%s", queue)
    if turn.timed_out and not is_draining():
        # A stopping cluster replaces no worker, and waits for one to take what it has popped.
        sys.exit(f"worker ends after a timeout, queue={queue}")


def run_relay() -> None:
    """Be the relay until a younger run has taken over."""
    relay_run.run()
