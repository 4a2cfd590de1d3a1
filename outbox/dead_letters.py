"""What staff do to dead letters: retry or discard, always with who and why."""

from __future__ import annotations

import logging
import uuid

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from outbox.exceptions import NotDead
from outbox.models import Action, Outbox, StaffAction, State
from outbox.queues import CHANNEL, queues

logger = logging.getLogger(__name__)


def retry(*, row_id: int, user_id: uuid.UUID, reason: str) -> None:
    """Send a dead letter back to its queue with a fresh budget of attempts.

    The attempt counter goes on counting and the history stays. Raises `NotDead` if the row is not
    a dead letter (any more), for example because a colleague was faster.
    """
    with transaction.atomic():
        row = _lock_dead(row_id)
        queue = queues().get(row.queue)
        budget = queue.retry.max_attempts if queue else 1
        Outbox.objects.filter(pk=row.pk).update(
            state=State.PENDING,
            dead_reason="",
            finished_at=None,
            available_at=Now(),
            max_attempts=F("attempt_count") + budget,
        )
        _record(row, Action.RETRY, user_id=user_id, reason=reason)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])


def discard(*, row_id: int, user_id: uuid.UUID, reason: str) -> None:
    """Drop a dead letter for good. Raises `NotDead` like `retry`."""
    with transaction.atomic():
        row = _lock_dead(row_id)
        Outbox.objects.filter(pk=row.pk).update(
            state=State.DISCARDED, dead_reason="", finished_at=Now()
        )
        _record(row, Action.DISCARD, user_id=user_id, reason=reason)


def _lock_dead(row_id: int) -> Outbox:
    # The lock makes the slower of two people find the row no longer dead.
    row = Outbox.objects.select_for_update().filter(pk=row_id).first()
    if row is None or row.state != State.DEAD:
        raise NotDead(f"Row {row_id} is not a dead letter.")
    return row


def _record(row: Outbox, action: Action, *, user_id: uuid.UUID, reason: str) -> None:
    StaffAction.objects.create(outbox=row, action=action, user_id=user_id, reason=reason)
    logger.info("%s row=%d user=%s", action.value, row.pk, user_id)
