"""How an attempt ends: what an error means for its row, and what the history says about it."""

from __future__ import annotations

import logging
import traceback
from dataclasses import dataclass

from django.db import InterfaceError, OperationalError, transaction

from outbox.exceptions import AttemptGivenBack, AttemptTimedOut, PermanentError, Unavailable
from outbox.models import DeadReason, Outcome, State
from outbox.registry import Handler, Message
from outbox.retry import RetryPolicy

logger = logging.getLogger(__name__)

MAX_CLASS_LENGTH = 200
MAX_MESSAGE_LENGTH = 2_000
MAX_TRACEBACK_LENGTH = 20_000


@dataclass(frozen=True)
class Ending:
    """The outcome of an attempt, and what becomes of its row.

    `delay` is the seconds until the row is due again. `back` gives it the attempt back: the
    counter never falls, so its budget grows by one.
    """

    outcome: Outcome
    state: State
    error: BaseException | None = None
    dead_reason: DeadReason | None = None
    delay: float = 0.0
    back: bool = False

    def report(self) -> dict[str, str]:
        """Return the columns of an attempt that say what went wrong."""
        if self.error is None:
            return {"error_class": "", "error_message": "", "traceback": ""}
        # Has a message also for an error whose own `__str__` is broken.
        report = traceback.TracebackException.from_exception(self.error)
        return {
            "error_class": type(self.error).__name__[:MAX_CLASS_LENGTH],
            "error_message": _storable(str(report))[:MAX_MESSAGE_LENGTH],
            "traceback": _storable("".join(report.format()))[-MAX_TRACEBACK_LENGTH:],
        }


DELIVERED = Ending(Outcome.SUCCEEDED, State.DELIVERED)


def ending_of(
    error: BaseException,
    *,
    retry: RetryPolicy,
    attempt: int,
    is_last: bool,
    is_probe: bool,
    is_known: bool,
) -> Ending:
    """Return what an error means: wait for the next attempt, or give up.

    `is_known`: this release has a handler of the row's name. `is_probe`: the attempt was made only
    to find out whether a provider is back, which costs the row nothing.
    """
    if isinstance(error, AttemptGivenBack):
        return Ending(Outcome.GIVEN_BACK, State.PENDING, error, back=True)
    outcome = Outcome.TIMED_OUT if isinstance(error, AttemptTimedOut) else Outcome.FAILED
    if isinstance(error, Unavailable) and is_probe:
        return Ending(outcome, State.PENDING, error, delay=_delay(error, retry, 1), back=True)
    dead_reason = _dead_reason(error, is_last=is_last, is_known=is_known)
    if dead_reason is not None:
        return Ending(outcome, State.DEAD, error, dead_reason)
    return Ending(outcome, State.PENDING, error, delay=_delay(error, retry, attempt))


def _dead_reason(error: BaseException, *, is_last: bool, is_known: bool) -> DeadReason | None:
    if not is_known:
        return DeadReason.UNKNOWN_EVENT
    if isinstance(error, PermanentError):
        return DeadReason.PERMANENT
    return DeadReason.EXHAUSTED if is_last else None


def _delay(error: BaseException, retry: RetryPolicy, attempt: int) -> float:
    wanted = error.retry_after_seconds if isinstance(error, Unavailable) else 0.0
    return max(retry.backoff(attempt), wanted)


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


def _storable(text: str) -> str:
    # PostgreSQL's text can hold neither NUL characters nor halves of surrogate pairs.
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()
