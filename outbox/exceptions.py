"""What can go wrong in the outbox, classed by what it means for a retry."""

from __future__ import annotations


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
