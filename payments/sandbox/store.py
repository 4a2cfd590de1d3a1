"""What the sandbox remembers: checkout sessions, payments and the events that tell of them."""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from payments.sandbox.records import (
    Event,
    EventType,
    NewSession,
    Payment,
    PaymentStatus,
    Session,
    iso,
)
from payments.sandbox.schema import INSERT_SESSION, SCHEMA, SESSION_QUERY


class IdempotencyMismatch(Exception):
    """The idempotency key was used before, for another request."""


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
        with self._transaction() as now:
            values = asdict(new) | {
                "id": _new_id("cs"),
                "idempotency_key": idempotency_key,
                "fingerprint": fingerprint,
                "created_at": now,
                "expires_at": now + new.expires_in_seconds,
            }
            # The unique index decides between two requests with one key: one inserts, the
            # other changes nothing and reads what the first one made.
            created = self._db.execute(INSERT_SESSION, values).rowcount == 1
            row = self._db.execute(
                "SELECT id, fingerprint FROM sessions WHERE idempotency_key = ?", [idempotency_key]
            ).fetchone()
            if row["fingerprint"] != fingerprint:
                raise IdempotencyMismatch
            return self._session(row["id"]), created

    def get_session(self, session_id: str) -> Session | None:
        with self._transaction():
            return self._find_session(session_id)

    def pay(self, session_id: str) -> Session | None:
        """Pay an open session and return it as it is then; one that isn't open stays as it is."""
        return self._try_card(session_id, payment_status="succeeded", event_type="checkout.paid")

    def decline(self, session_id: str) -> Session | None:
        """Record a failed payment for an open session, which stays open."""
        return self._try_card(session_id, payment_status="failed", event_type="checkout.declined")

    def payments(self, *, reference: str, status: str | None) -> list[Payment]:
        """Return the payments made for a reference, oldest first, failed ones too if not filtered."""
        with self._transaction():
            rows = self._db.execute(
                "SELECT p.id, session_id, reference, amount, currency, p.status, p.created_at"
                " FROM payments p JOIN sessions s ON s.id = session_id"
                " WHERE reference = ? AND (? IS NULL OR p.status = ?) ORDER BY p.created_at",
                (reference, status, status),
            ).fetchall()
        return [Payment(**dict(row)) for row in rows]

    def due_events(self, limit: int = 20) -> list[Event]:
        """Return the events to send now, the longest due first."""
        with self._transaction() as now:
            rows = self._db.execute(
                "SELECT e.id, webhook_url AS url, body, attempts, e.created_at"
                " FROM events e JOIN sessions s ON s.id = session_id"
                " WHERE next_attempt_at <= ? ORDER BY next_attempt_at, e.rowid LIMIT ?",
                (now, limit),
            ).fetchall()
        return [Event(**dict(row)) for row in rows]

    def seconds_until_due(self) -> float | None:
        """Return when the next attempt or expiry is due; None if there is none to come."""
        with self._transaction() as now:
            (at,) = self._db.execute(
                "SELECT min(at) FROM (SELECT min(next_attempt_at) AS at FROM events"
                " UNION ALL SELECT min(expires_at) FROM sessions WHERE status = 'open')"
            ).fetchone()
        return None if at is None else max(0.0, at - now)

    def mark_delivered(self, event_id: str) -> None:
        with self._transaction() as now:
            self._db.execute(
                "UPDATE events SET delivered_at = ?, next_attempt_at = NULL WHERE id = ?",
                (now, event_id),
            )

    def mark_failed(self, event_id: str, *, retry_in: float | None) -> None:
        """Count a failed attempt; the next one is due in `retry_in` seconds, or never if None."""
        with self._transaction() as now:
            self._db.execute(
                "UPDATE events SET attempts = attempts + 1, next_attempt_at = ? WHERE id = ?",
                (None if retry_in is None else now + retry_in, event_id),
            )

    @contextmanager
    def _transaction(self) -> Iterator[float]:
        """Yield the time, with everything expired that should be: no one sees or pays a late one."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                now = self._clock()
                self._expire_sessions(now)
                yield now
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _try_card(
        self, session_id: str, *, payment_status: PaymentStatus, event_type: EventType
    ) -> Session | None:
        with self._transaction() as now:
            session = self._find_session(session_id)
            if session is None or session.status != "open":
                return session
            payment_id = _new_id("pay")
            self._db.execute(
                "INSERT INTO payments (id, session_id, status, created_at) VALUES (?, ?, ?, ?)",
                (payment_id, session_id, payment_status, now),
            )
            if payment_status == "succeeded":
                self._db.execute("UPDATE sessions SET status = 'paid' WHERE id = ?", [session_id])
            self._add_event(session, event_type, payment_id, now)
            return self._session(session_id)

    def _expire_sessions(self, now: float) -> None:
        late = self._db.execute(
            "UPDATE sessions SET status = 'expired' WHERE status = 'open' AND expires_at <= ?"
            " RETURNING id",
            [now],
        ).fetchall()
        for (session_id,) in late:
            self._add_event(self._session(session_id), "checkout.expired", None, now)

    def _add_event(
        self, session: Session, event_type: EventType, payment_id: str | None, now: float
    ) -> None:
        event_id = _new_id("evt")
        data: dict[str, Any] = {
            "sessionId": session.id,
            "paymentId": payment_id,
            "reference": session.reference,
            "amount": session.amount,
            "currency": session.currency,
        }
        # The bytes are kept, not the facts, so that every attempt sends the same ones.
        body = {"id": event_id, "type": event_type, "createdAt": iso(now), "data": data}
        self._db.execute(
            "INSERT INTO events (id, session_id, body, created_at, next_attempt_at)"
            " VALUES (?, ?, ?, ?, ?)",
            (event_id, session.id, json.dumps(body).encode(), now, now),
        )

    def _find_session(self, session_id: str) -> Session | None:
        row = self._db.execute(SESSION_QUERY, [session_id]).fetchone()
        if row is None:
            return None
        return Session(**{**dict(row), "was_declined": bool(row["was_declined"])})

    def _session(self, session_id: str) -> Session:
        session = self._find_session(session_id)
        if session is None:
            raise LookupError(session_id)
        return session


def _new_id(prefix: str) -> str:
    # A session's id is all that its checkout page is protected by, so it can't be guessed.
    return f"{prefix}_{secrets.token_hex(16)}"
