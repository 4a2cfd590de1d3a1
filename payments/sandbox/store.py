"""What the sandbox remembers: sessions, payments, refunds, and the events that tell of them."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from payments.sandbox import behaviour, events, refunds, sessions
from payments.sandbox.behaviour import Behaviour, Turn
from payments.sandbox.events import Telling
from payments.sandbox.records import Event, NewRefund, NewSession, Payment, Refund, Session
from payments.sandbox.schema import SCHEMA
from payments.sandbox.transaction import Transaction

LATE_SECONDS = 20.0
OUT_OF_ORDER_SECONDS = 2.0
MOST_DUE = 20  # events read at once


class Tell(StrEnum):
    """How the shop is told of one payment."""

    AT_ONCE = "at_once"
    LATE = "late"
    TWICE = "twice"
    OUT_OF_ORDER = "out_of_order"


TELLINGS = {
    Tell.AT_ONCE: Telling(),
    Tell.LATE: Telling(delay_seconds=LATE_SECONDS),
    Tell.TWICE: Telling(copies=2),
    Tell.OUT_OF_ORDER: Telling(),  # it's the declined card before it that is told later
}


class Store:
    """The sandbox's SQLite database. Every method is one transaction; threads may share it.

    What was committed survives the death of the process. `clock` gives seconds since 1970.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._clock = clock
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def create_session(
        self, new: NewSession, *, idempotency_key: str, fingerprint: str
    ) -> tuple[Session, bool]:
        """Return the session of this key, and whether this call made it.

        Raise `IdempotencyMismatch` if the key belongs to a request with another fingerprint.
        """
        with self._transaction() as tx:
            return sessions.create(
                tx, new, idempotency_key=idempotency_key, fingerprint=fingerprint
            )

    def get_session(self, session_id: str) -> Session | None:
        with self._transaction() as tx:
            return sessions.find(tx, session_id)

    def expire_session(self, session_id: str) -> Session | None:
        """End an open session and return it as it is then; one that isn't open stays as it is."""
        with self._transaction() as tx:
            sessions.expire(tx, session_id)
            return sessions.find(tx, session_id)

    def pay(self, session_id: str, tell: Tell = Tell.AT_ONCE) -> Session | None:
        """Pay an open session and return it as it is then; one that isn't open stays as it is.

        Late is `LATE_SECONDS` later, twice is two copies, and out of order lets a declined card
        come first, of which the shop is told `OUT_OF_ORDER_SECONDS` after the payment.
        """
        with self._transaction() as tx:
            if tell is Tell.OUT_OF_ORDER:
                after = Telling(delay_seconds=OUT_OF_ORDER_SECONDS)
                sessions.try_card(tx, session_id, "failed", after)
            return sessions.try_card(tx, session_id, "succeeded", TELLINGS[tell])

    def decline(self, session_id: str) -> Session | None:
        """Record a failed payment for an open session, which stays open."""
        with self._transaction() as tx:
            return sessions.try_card(tx, session_id, "failed")

    def payments(self, *, reference: str, status: str | None) -> list[Payment]:
        """Return the payments made for a reference, oldest first, failed ones too if not filtered."""
        with self._transaction() as tx:
            return sessions.list_payments(tx, reference=reference, status=status)

    def create_refund(
        self, new: NewRefund, *, idempotency_key: str, fingerprint: str
    ) -> tuple[Refund, bool]:
        """Return the refund of this key as it is by now, and whether this call made it.

        Raise `IdempotencyMismatch`, `UnknownPayment`, `WrongCurrency` or `RefundTooLarge`.
        """
        with self._transaction() as tx:
            return refunds.create(tx, new, idempotency_key=idempotency_key, fingerprint=fingerprint)

    def get_refund(self, refund_id: str) -> Refund | None:
        with self._transaction() as tx:
            return refunds.find(tx, refund_id)

    def behaviour(self) -> Behaviour:
        """Return the behaviour as it is by now: what counts down says how many are left."""
        with self._transaction() as tx:
            return behaviour.read(tx)

    def set_behaviour(self, new: Behaviour) -> None:
        """Behave like this from now on; see `Behaviour` for what held back and pending becomes."""
        with self._transaction() as tx:
            behaviour.write(tx, new)
            events.let_go(tx)
            if new.refund_outcome != "pending":
                refunds.settle_pending(tx, new.refund_outcome)

    def take_turn(self) -> Turn:
        """Count a request of the API, and say what becomes of it."""
        with self._transaction() as tx:
            return behaviour.take_turn(tx)

    def due_events(self) -> list[Event]:
        """Return some events to send now, the longest due first."""
        with self._transaction() as tx:
            return events.due(tx, MOST_DUE)

    def seconds_until_due(self) -> float | None:
        """Return when the next attempt or expiry is due; None if there is none to come."""
        with self._transaction() as tx:
            (at,) = tx.db.execute(
                "SELECT min(at) FROM (SELECT min(next_attempt_at) AS at FROM events"
                " UNION ALL SELECT min(expires_at) FROM sessions WHERE status = 'open')"
            ).fetchone()
        return None if at is None else max(0.0, at - tx.now)

    def mark_delivered(self, event_id: str) -> None:
        with self._transaction() as tx:
            events.mark_delivered(tx, event_id)

    def mark_failed(self, event_id: str, *, retry_in: float | None) -> None:
        """Count a failed attempt; the next one is due in `retry_in` seconds, or never if None."""
        with self._transaction() as tx:
            events.mark_failed(tx, event_id, retry_in=retry_in)

    @contextmanager
    def _transaction(self) -> Iterator[Transaction]:
        """Open a transaction with everything expired that should be: no one pays a late one."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                tx = Transaction(self._db, self._clock())
                sessions.expire_late(tx)
                yield tx
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
