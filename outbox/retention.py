"""Pruning: delivered rows go after some time, with their attempts. Dead letters never do."""

from __future__ import annotations

import logging
import time

from django.conf import settings
from django.db import connection, transaction

from outbox.draining import is_draining

logger = logging.getLogger(__name__)

BATCH = 1_000
# One run of the relay's cluster may take this long; what is left waits for the next.
RUN_SECONDS = 20.0

# Attempts and what staff did go first: they refer to the row.
PRUNE = """
    WITH old AS MATERIALIZED (
        SELECT id FROM outbox
        WHERE state = 'delivered'
            AND finished_at < statement_timestamp() - make_interval(days => %(days)s)
        ORDER BY finished_at LIMIT %(batch)s FOR UPDATE SKIP LOCKED
    ), attempts AS (
        DELETE FROM outbox_attempt USING old WHERE outbox_id = old.id
    ), actions AS (
        DELETE FROM outbox_staff_action USING old WHERE outbox_id = old.id
    )
    DELETE FROM outbox USING old WHERE outbox.id = old.id
"""


def prune() -> int:
    """Delete rows that were delivered more than `OUTBOX_RETENTION_DAYS` ago; return how many.

    In batches of their own transactions, so that no lock is held for long. Discarded rows and
    dead letters stay: they say who decided what.
    """
    pruned = 0
    until = time.monotonic() + RUN_SECONDS
    while time.monotonic() < until and not is_draining():
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(PRUNE, {"days": settings.OUTBOX_RETENTION_DAYS, "batch": BATCH})
            deleted = cursor.rowcount
        pruned += deleted
        if deleted < BATCH:
            break
    logger.info("pruned rows=%d", pruned)
    return pruned
