"""Delivery: one attempt at handing a row to its handler, and the record of how it ended.

Invariants, each kept where it is named:
- a row has one worker at a time, and every claim uses up an attempt (`claim`);
- only the holder of the lease changes the row (`END_ATTEMPT`);
- a handler's database effects and `delivered` commit together (`_record_delivered`).
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from django.db import InterfaceError, OperationalError, connection, connections, transaction

from outbox.exceptions import AttemptTimedOut, LeaseLost, PermanentError
from outbox.models import DeadReason, Outbox, Outcome, State
from outbox.queues import CHANNEL, LEASE_GRACE_SECONDS, Queue, get_queue
from outbox.registry import Finish, Handler, Message, find_handler

logger = logging.getLogger(__name__)

MAX_CLASS_LENGTH = 200
MAX_MESSAGE_LENGTH = 2_000
MAX_TRACEBACK_LENGTH = 20_000
RECORD_RETRY_SECONDS = 0.2


@dataclass(frozen=True)
class Lease:
    """The right to work on a row, until it expires; `token` is what proves it."""

    message: Message
    handler_name: str
    max_attempts: int
    token: uuid.UUID
    queue: Queue


def deliver(queue_name: str, row_id: int) -> Outcome | None:
    """Make one attempt at the row; return how it ended, or None if the row was not to be had.

    A stale or double id, or a row that another worker holds, is no error: its claim fails.
    """
    lease = claim(get_queue(queue_name), row_id)
    if lease is None:
        logger.info("skipped row=%d", row_id)
        return None
    handler = find_handler(lease.handler_name)
    if handler is None:
        _record_failure(lease, None, NotImplementedError(lease.handler_name))
        return Outcome.FAILED
    return _attempt(lease, handler)


def worker_name() -> str:
    """Return the name that this worker leaves on rows and attempts: host and process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


# One conditional UPDATE, so that of several workers with the same id one wins. The attempt is
# counted here: a handler that kills its process can't be tried for ever.
CLAIM = """
    WITH leased AS (
        UPDATE outbox SET state = 'processing', attempt_count = attempt_count + 1, worker = %s,
            lease_token = gen_random_uuid(),
            lease_expires_at = statement_timestamp() + make_interval(secs => %s)
        WHERE id = %s AND state = 'queued' AND queue = %s
        RETURNING id, event_type, payload, aggregate_id, attempt_count, request_id,
                  handler, max_attempts, lease_token, worker
    ), attempt AS (
        INSERT INTO outbox_attempt (outbox_id, number, worker)
        SELECT id, attempt_count, worker FROM leased
    )
    SELECT id, event_type, payload, aggregate_id, attempt_count, request_id,
           handler, max_attempts, lease_token FROM leased
"""


def claim(queue: Queue, row_id: int) -> Lease | None:
    """Lease the row to this worker and open its next attempt; None if it is not queued."""
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, [worker_name(), queue.lease_seconds, row_id, queue.name])
        row = cursor.fetchone()
    if row is None:
        return None
    *columns, handler_name, max_attempts, token = row
    return Lease(Message.from_columns(columns), handler_name, max_attempts, token, queue)


def _attempt(lease: Lease, handler: Handler) -> Outcome:
    try:
        with time_limit(lease.queue.timeout_seconds):
            if handler.start is not None:
                _start(lease, handler.start)
            finish = handler.work(lease.message)
        _record_delivered(lease, finish)
    except LeaseLost:
        logger.warning("lease lost row=%d attempt=%d", lease.message.id, lease.message.attempt)
        return Outcome.LEASE_EXPIRED
    except AttemptTimedOut as error:
        # The connection may have been cut off in the middle of a statement.
        connections.close_all()
        _record_failure(lease, handler, error)
        return Outcome.TIMED_OUT
    except Exception as error:
        _record_failure(lease, handler, error)
        return Outcome.FAILED
    logger.info("delivered row=%d attempt=%d", lease.message.id, lease.message.attempt)
    return Outcome.SUCCEEDED


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `AttemptTimedOut` in the body once `seconds` have passed.

    Works in the main thread only. django-q2 uses the same timer for its own, longer limit: what
    is left of that is set again afterwards.
    """

    def stop(signum: int, frame: FrameType | None) -> None:
        raise AttemptTimedOut(f"The attempt took longer than {seconds:g} s.")

    started = time.monotonic()
    outer_handler = signal.signal(signal.SIGALRM, stop)
    outer_left, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, outer_handler)
        if outer_left:
            left = outer_left - (time.monotonic() - started)
            signal.setitimer(signal.ITIMER_REAL, max(left, 0.001))


def _start(lease: Lease, start: Callable[[Message], object]) -> None:
    with transaction.atomic():
        held = Outbox.objects.filter(
            id=lease.message.id, state=State.PROCESSING, lease_token=lease.token
        )
        if not held.select_for_update().exists():
            raise LeaseLost
        start(lease.message)


def _record_delivered(lease: Lease, finish: Finish | None) -> None:
    """Commit the handler's own effects and `delivered` together."""

    def write() -> None:
        # The fence comes first: it locks the row, so that nothing can happen to the lease
        # between the effects and the commit.
        _end_attempt(lease, Outcome.SUCCEEDED, State.DELIVERED)
        if finish is not None:
            finish()

    _persist(lease, write)


def _record_failure(lease: Lease, handler: Handler | None, error: BaseException) -> None:
    """Send the row back to wait for its next attempt, or make it a dead letter."""
    dead_reason = _dead_reason(lease, handler, error)

    def write() -> None:
        outcome = Outcome.TIMED_OUT if isinstance(error, AttemptTimedOut) else Outcome.FAILED
        if dead_reason is None:
            delay = lease.queue.retry.backoff(lease.message.attempt)
            _end_attempt(lease, outcome, State.PENDING, error=error, delay=delay)
        else:
            _end_attempt(lease, outcome, State.DEAD, error=error, dead_reason=dead_reason)
            announce_death(handler, lease.message)

    try:
        _persist(lease, write)
    except LeaseLost:
        logger.warning("lease lost row=%d attempt=%d", lease.message.id, lease.message.attempt)
        return
    logger.warning(
        "%s row=%d handler=%s attempt=%d error=%s",
        f"dead {dead_reason}" if dead_reason else "failed",
        lease.message.id,
        lease.handler_name,
        lease.message.attempt,
        type(error).__name__,
    )


def _dead_reason(lease: Lease, handler: Handler | None, error: BaseException) -> DeadReason | None:
    if handler is None:
        return DeadReason.UNKNOWN_EVENT
    if isinstance(error, PermanentError):
        return DeadReason.PERMANENT
    if lease.message.attempt >= lease.max_attempts:
        return DeadReason.EXHAUSTED
    return None


def announce_death(handler: Handler | None, message: Message) -> None:
    """Run the handler's `on_dead` step, in the transaction that makes its row a dead letter.

    The dead letter must stand even if that step is broken, so its error is logged, not raised.
    """
    if handler is None or handler.on_dead is None:
        return
    try:
        with transaction.atomic():
            handler.on_dead(message)
    except (OperationalError, InterfaceError):
        raise  # the connection is gone and with it the transaction: the caller tries again
    except Exception:
        logger.exception("on_dead failed row=%d handler=%s", message.id, handler.name)


# The fence: a worker that has lost its lease matches no row and changes nothing. Row and attempt
# end in one statement.
END_ATTEMPT = """
    WITH ended AS (
        UPDATE outbox SET state = %(state)s, dead_reason = %(dead_reason)s,
            available_at = CASE WHEN %(state)s = 'pending'
                THEN clock_timestamp() + make_interval(secs => %(delay)s) ELSE available_at END,
            finished_at = CASE WHEN %(state)s <> 'pending' THEN clock_timestamp() END
        WHERE id = %(row_id)s AND state = 'processing' AND lease_token = %(token)s
        RETURNING id, attempt_count
    ), notified AS (
        SELECT pg_notify(%(channel)s, '') FROM ended WHERE %(state)s = 'pending'
    )
    UPDATE outbox_attempt SET ended_at = clock_timestamp(), outcome = %(outcome)s,
        error_class = %(error_class)s, error_message = %(error_message)s,
        traceback = %(traceback)s
    FROM ended LEFT JOIN notified ON true
    WHERE outbox_id = ended.id AND number = ended.attempt_count
"""


def _end_attempt(
    lease: Lease,
    outcome: Outcome,
    state: State,
    *,
    error: BaseException | None = None,
    delay: float = 0,
    dead_reason: DeadReason | None = None,
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            END_ATTEMPT,
            {
                "channel": CHANNEL,
                "row_id": lease.message.id,
                "token": lease.token,
                "outcome": outcome.value,
                "state": state.value,
                "delay": delay,
                "dead_reason": dead_reason.value if dead_reason else "",
                **_describe(error),
            },
        )
        if cursor.rowcount != 1:
            raise LeaseLost


def _describe(error: BaseException | None) -> dict[str, str]:
    """Return the columns of an attempt that say what went wrong."""
    if error is None:
        return {"error_class": "", "error_message": "", "traceback": ""}
    # Has a message also for an error whose own `__str__` is broken.
    report = traceback.TracebackException.from_exception(error)
    return {
        "error_class": type(error).__name__[:MAX_CLASS_LENGTH],
        "error_message": _storable(str(report))[:MAX_MESSAGE_LENGTH],
        "traceback": _storable("".join(report.format()))[-MAX_TRACEBACK_LENGTH:],
    }


def _storable(text: str) -> str:
    # PostgreSQL's text can hold neither NUL characters nor halves of surrogate pairs.
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()


def _persist(lease: Lease, write: Callable[[], None]) -> None:
    """Run `write` in a transaction; try again while the database is away and the lease may last.

    When the connection breaks during COMMIT nobody tells whether it took place; so after a
    failure a lost lease is looked at again: our token on an ended row means that it did.
    """
    deadline = time.monotonic() + LEASE_GRACE_SECONDS
    interrupted = False
    while True:
        try:
            with transaction.atomic():
                write()
        except LeaseLost:
            if interrupted and _has_ended(lease):
                return
            raise
        except (OperationalError, InterfaceError):
            if time.monotonic() > deadline:
                raise
            interrupted = True
            connection.close()
            time.sleep(RECORD_RETRY_SECONDS)
        else:
            return


def _has_ended(lease: Lease) -> bool:
    return (
        Outbox.objects.filter(id=lease.message.id, lease_token=lease.token)
        .exclude(state=State.PROCESSING)
        .exists()
    )
