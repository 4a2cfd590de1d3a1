"""What can go wrong in the outbox, classed by what it means for a retry."""

from __future__ import annotations

MAX_RETRY_AFTER_SECONDS = 3600.0


class OutboxError(Exception):
    """Base of every error that the outbox raises itself."""


class NoHandler(OutboxError):
    """An event type was published that no handler is registered for: a bug of the caller."""


class NotInTransaction(OutboxError):
    """`publish` was called outside a transaction, where change and message could part."""


class LeaseLost(OutboxError):
    """The row is no longer leased by this worker, so it may not record an outcome."""


class NotDead(OutboxError):
    """Staff tried to retry or discard a row that is not a dead letter (any more)."""


class PermanentError(OutboxError):
    """Raised by a handler when retrying can't help: the row becomes a dead letter at once."""


class AttemptTimedOut(SystemExit):
    """Raised inside a handler when its attempt has used up its time.

    Not an `Exception`, so that a handler's own `except Exception` does not swallow it. And a
    `SystemExit`, because psycopg cancels the statement that one interrupts: otherwise it would go
    on in PostgreSQL and hold its locks, that of the outbox row among them.
    """


class AttemptGivenBack(SystemExit):
    """Raised inside a handler when its cluster has been told to stop and can't wait any longer.

    A `SystemExit` for the same reasons as `AttemptTimedOut`.
    """


class Unavailable(OutboxError):
    """Raised by a handler when what it needs refuses to serve anybody just now.

    For a provider that refuses connections or answers 429 or 5xx; not for one that is slow. The
    attempt is retried like after any error; several in a row open the queue's circuit breaker.
    `retry_after_seconds` is what the provider asked for, 0 if it did not, and at most an hour.
    """

    def __init__(self, message: str, *, retry_after_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = min(max(retry_after_seconds, 0.0), MAX_RETRY_AFTER_SECONDS)
