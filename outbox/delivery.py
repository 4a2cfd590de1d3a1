"""Delivery: one attempt at handing a row to its handler, and the record of how it ended.

Invariants, each kept where it is named:
- a row has one worker at a time, and every claim uses up an attempt (`LEASED`);
- nothing is claimed on a queue that is paused or whose breaker is open (`LEASED`);
- only the holder of the lease changes the row (`ENDED`);
- a handler's database effects and `delivered` commit together (`_write`).
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db import InterfaceError, OperationalError, connection, connections, transaction

from outbox import flow
from outbox.endings import DELIVERED, Ending, announce_death, ending_of
from outbox.exceptions import AttemptGivenBack, AttemptTimedOut, LeaseLost, Unavailable
from outbox.models import DeadReason, Outbox, Outcome, State
from outbox.queues import CHANNEL, LEASE_GRACE_SECONDS, Queue
from outbox.registry import Finish, Handler, Message, find_handler
from outbox.time_limit import time_limit
from outbox.workers import worker_name

logger = logging.getLogger(__name__)

RECORD_RETRY_SECONDS = 0.2

NextId = Callable[[], int | None]


def no_next() -> int | None:
    """Say that no further row is to be claimed."""
    return None


@dataclass(frozen=True)
class Lease:
    """The right to work on a row, until it expires; `token` is what proves it.

    `is_probe`: the queue's breaker is open and this attempt decides whether it closes.
    `is_suspect`: the breaker has counted failures, which a success forgets.
    """

    message: Message
    handler_name: str
    max_attempts: int
    token: uuid.UUID
    queue: Queue
    is_probe: bool = False
    is_suspect: bool = False


# One conditional UPDATE, so that of several workers with the same id one wins. The attempt is
# counted here: a handler that kills its process can't be tried for ever. `|| ''`, here and below:
# a row is found by its key, whatever the planner thinks of the index of its state.
LEASED = """
    control AS (
        SELECT paused_at IS NOT NULL AS paused, opened_at IS NOT NULL AS open, probe_row_id,
               failures > 0 AS suspect
        FROM outbox_queue WHERE name = %(queue)s
    ), leased AS (
        UPDATE outbox SET state = 'processing', attempt_count = attempt_count + 1,
            worker = %(worker)s, started_at = clock_timestamp(), lease_token = gen_random_uuid(),
            lease_expires_at = clock_timestamp() + make_interval(secs => %(lease_seconds)s)
        WHERE id = %(next_id)s AND state || '' = 'queued' AND queue = %(queue)s
            AND NOT EXISTS (SELECT FROM control
                WHERE paused OR (open AND probe_row_id IS DISTINCT FROM outbox.id))
            {only_if}
        RETURNING id, event_type, payload, aggregate_id, attempt_count, request_id,
                  handler, max_attempts, lease_token
    )"""
# The fence: a worker that has lost its lease matches no row and changes nothing. The row ends and
# its attempt is noted in one statement.
ENDED = """
    ended AS (
        UPDATE outbox SET state = %(state)s::text, dead_reason = %(dead_reason)s,
            max_attempts = max_attempts + %(back)s::int,
            available_at = CASE WHEN %(state)s::text = 'pending'
                THEN clock_timestamp() + make_interval(secs => %(delay)s) ELSE available_at END,
            finished_at = CASE WHEN %(state)s::text <> 'pending' THEN clock_timestamp() END
        WHERE id = %(row_id)s AND state || '' = 'processing' AND lease_token = %(token)s
        RETURNING id, queue, attempt_count, worker, started_at
    ), notified AS (
        SELECT pg_notify(%(channel)s, '') FROM ended WHERE %(state)s::text = 'pending'
    ), noted AS (
        INSERT INTO outbox_attempt (outbox_id, queue, number, worker, started_at, ended_at,
                                    outcome, error_class, error_message, traceback)
        SELECT id, queue, attempt_count, worker, started_at, clock_timestamp(),
               %(outcome)s, %(error_class)s, %(error_message)s, %(traceback)s
        FROM ended LEFT JOIN notified ON true
        RETURNING 1
    )"""
COLUMNS = """
    leased.id, event_type, payload, aggregate_id, attempt_count, request_id,
    handler, max_attempts, lease_token,
    coalesce((SELECT open FROM control), false), coalesce((SELECT suspect FROM control), false)"""
CLAIM = f"WITH {LEASED.format(only_if='')} SELECT true, {COLUMNS} FROM leased"  # noqa: S608 - of constants
END = f"WITH {ENDED} SELECT true FROM noted"  # noqa: S608
# Who has lost the lease on its row gets none on the next: the attempt would be made by nobody.
AND_CLAIM = LEASED.format(only_if="AND EXISTS (SELECT FROM noted)")
END_AND_CLAIM = (
    f"WITH {ENDED}, {AND_CLAIM} SELECT true, {COLUMNS} FROM noted LEFT JOIN leased ON true"  # noqa: S608
)
# A row that may not be claimed now waits in PostgreSQL; nothing is used up.
REFUSE = """
    UPDATE outbox SET state = 'pending', queued_at = NULL
    WHERE id = %(next_id)s AND state = 'queued' AND queue = %(queue)s
        AND EXISTS (SELECT FROM outbox_queue WHERE name = %(queue)s
            AND (paused_at IS NOT NULL OR
                (opened_at IS NOT NULL AND probe_row_id IS DISTINCT FROM outbox.id)))
"""


def claim(queue: Queue, row_id: int) -> Lease | None:
    """Lease the row to this worker and open its next attempt; None if it is not to be had.

    A stale or double id, or a row that another worker holds, is no error.
    """
    parameters = _claim_parameters(queue, row_id)
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, parameters)
        row = cursor.fetchone()
        if row is None:
            cursor.execute(REFUSE, parameters)
            logger.info("skipped row=%d", row_id)
            return None
    return _lease(queue, row)


def deliver(lease: Lease, next_id: NextId = no_next) -> tuple[Outcome, Lease | None]:
    """Make the attempt that the lease is for; return how it ended, and the lease on the next row.

    `next_id` is asked once, when the work is done; what it returns is claimed in the transaction
    that ends this attempt. It is not asked after an attempt that was cut off.
    """
    next_id = cache(next_id)  # an attempt whose effects can't be committed is ended a second time
    handler = find_handler(lease.handler_name)
    try:
        try:
            finish = _work(lease, handler)
            return Outcome.SUCCEEDED, _record(lease, DELIVERED, finish, next_id)
        except LeaseLost:
            raise
        except (AttemptTimedOut, AttemptGivenBack) as error:
            # The connection may have been cut off in the middle of a statement.
            connections.close_all()
            ending = _ending(lease, handler, error)
            return ending.outcome, _record(lease, ending, _on_death(handler, lease, ending))
        except Exception as error:
            ending = _ending(lease, handler, error)
            return ending.outcome, _record(
                lease, ending, _on_death(handler, lease, ending), next_id
            )
    except LeaseLost:
        logger.warning("lease lost row=%d attempt=%d", lease.message.id, lease.message.attempt)
        return Outcome.LEASE_EXPIRED, None


def _work(lease: Lease, handler: Handler | None) -> Finish | None:
    if handler is None:
        raise NotImplementedError(lease.handler_name)
    with time_limit(lease.queue.timeout_seconds):
        if handler.start is not None:
            _start(lease, handler.start)
        return handler.work(lease.message)


def _start(lease: Lease, start: Callable[[Message], object]) -> None:
    with transaction.atomic():
        held = Outbox.objects.filter(
            id=lease.message.id, state=State.PROCESSING, lease_token=lease.token
        )
        if not held.select_for_update().exists():
            raise LeaseLost
        start(lease.message)


def _ending(lease: Lease, handler: Handler | None, error: BaseException) -> Ending:
    attempt = lease.message.attempt
    return ending_of(
        error,
        retry=lease.queue.retry,
        attempt=attempt,
        is_last=attempt >= lease.max_attempts,
        is_probe=lease.is_probe,
        is_known=handler is not None,
    )


def _on_death(handler: Handler | None, lease: Lease, ending: Ending) -> Finish | None:
    if ending.state != State.DEAD:
        return None
    return lambda: announce_death(handler, lease.message)


def _record(
    lease: Lease, ending: Ending, effects: Finish | None, next_id: NextId = no_next
) -> Lease | None:
    """Commit the end of the attempt, its `effects` and the claim of the next row together.

    Tries again while the database is away and the lease may last. When the connection breaks
    during COMMIT nobody tells whether it took place; so after a failure a lost lease is looked at
    again: our token on an ended row means that it did.
    """
    following = next_id()
    deadline = time.monotonic() + LEASE_GRACE_SECONDS
    interrupted = False
    while True:
        try:
            next_lease = _write(lease, ending, effects, following)
        except LeaseLost:
            if not (interrupted and _has_ended(lease)):
                raise
            next_lease = None
        except (OperationalError, InterfaceError):
            if time.monotonic() > deadline:
                raise
            interrupted, following = True, None
            connection.close()
            time.sleep(RECORD_RETRY_SECONDS)
            continue
        _log(lease, ending)
        return next_lease


def _write(
    lease: Lease, ending: Ending, effects: Finish | None, following: int | None
) -> Lease | None:
    parameters = _end_parameters(lease, ending)
    if effects is None and not _concerns_breaker(lease, ending):
        if following is None:
            _end(END, parameters)
            return None
        return _lease(
            lease.queue,
            _end(END_AND_CLAIM, {**parameters, **_claim_parameters(lease.queue, following)}),
        )
    with transaction.atomic():
        # The fence comes first: it locks the row, so that nothing can happen to the lease
        # between the effects and the commit.
        _end(END, parameters)
        if effects is not None:
            effects()
        _tell_breaker(lease, ending)
        return None if following is None else claim(lease.queue, following)


def _end(statement: str, parameters: dict[str, Any]) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        row: tuple[Any, ...] | None = cursor.fetchone()
    if row is None:
        raise LeaseLost
    return row


def _concerns_breaker(lease: Lease, ending: Ending) -> bool:
    return isinstance(ending.error, Unavailable) or lease.is_probe or lease.is_suspect


def _tell_breaker(lease: Lease, ending: Ending) -> None:
    if isinstance(ending.error, Unavailable):
        flow.note_unavailable(
            lease.queue.name,
            cause=ending.report()["error_message"],
            probe=lease.is_probe,
            retry_after_seconds=ending.error.retry_after_seconds,
        )
    elif _concerns_breaker(lease, ending) and _has_asked(ending):
        flow.note_available(lease.queue.name, probe=lease.is_probe)


def _has_asked(ending: Ending) -> bool:
    """Whether the attempt can have shown that a provider is there."""
    gave_back = ending.outcome == Outcome.GIVEN_BACK
    return not gave_back and ending.dead_reason != DeadReason.UNKNOWN_EVENT


def _claim_parameters(queue: Queue, row_id: int) -> dict[str, Any]:
    return {
        "queue": queue.name,
        "worker": worker_name(),
        "lease_seconds": queue.lease_seconds,
        "next_id": row_id,
    }


def _end_parameters(lease: Lease, ending: Ending) -> dict[str, Any]:
    return {
        "channel": CHANNEL,
        "row_id": lease.message.id,
        "token": lease.token,
        "outcome": ending.outcome.value,
        "state": ending.state.value,
        "delay": ending.delay,
        "back": ending.back,
        "dead_reason": ending.dead_reason.value if ending.dead_reason else "",
        **ending.report(),
    }


def _lease(queue: Queue, row: tuple[Any, ...]) -> Lease | None:
    """Build the lease from a row of `COLUMNS`; None if the next row was not to be had."""
    _, *columns, handler_name, max_attempts, token, is_probe, is_suspect = row
    if token is None:
        return None
    message = Message.from_columns(columns)
    return Lease(message, handler_name, max_attempts, token, queue, is_probe, is_suspect)


def _log(lease: Lease, ending: Ending) -> None:
    row_id, attempt = lease.message.id, lease.message.attempt
    if ending.error is None:
        logger.info("delivered row=%d attempt=%d", row_id, attempt)
        return
    logger.warning(
        "%s row=%d handler=%s attempt=%d error=%s",
        f"dead {ending.dead_reason}" if ending.dead_reason else ending.outcome,
        row_id,
        lease.handler_name,
        attempt,
        type(ending.error).__name__,
    )


def _has_ended(lease: Lease) -> bool:
    return (
        Outbox.objects.filter(id=lease.message.id, lease_token=lease.token)
        .exclude(state=State.PROCESSING)
        .exists()
    )
