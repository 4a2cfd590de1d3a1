from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from payments.sandbox.behaviour import Behaviour
from payments.sandbox.records import NewSession
from payments.sandbox.store import LATE_SECONDS, OUT_OF_ORDER_SECONDS, Store, Tell
from tests.payments.sandbox_service import (
    GOOD_BEHAVIOUR,
    receiving,
    running_sandbox,
    told,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def types(store: Store) -> list[str]:
    return [json.loads(event.body)["type"].split(".")[1] for event in store.due_events()]


def decline(store: Store, session: str) -> None:
    store.decline(session)


def expire(store: Store, session: str) -> None:
    store.expire_session(session)


def pay_late(store: Store, session: str) -> None:
    store.pay(session, Tell.LATE)


@pytest.mark.parametrize(
    ("behaviour", "choice", "event_type", "seconds"),
    [
        (Behaviour(webhook_delay_seconds=30.5), decline, "declined", 30.5),
        (Behaviour(webhook_delay_seconds=3600), expire, "expired", 3600),
        (Behaviour(webhook_delay_seconds=7, reverse_webhooks=1), decline, "declined", 7),
        (Behaviour(), pay_late, "paid", LATE_SECONDS),
        (Behaviour(webhook_delay_seconds=5), pay_late, "paid", LATE_SECONDS + 5),
    ],
)
def test_a_delayed_event_is_due_once_its_time_has_come(
    tmp_path: Path,
    behaviour: Behaviour,
    choice: Callable[[Store, str], None],
    event_type: str,
    seconds: float,
) -> None:
    clock = Clock()
    with closing(Store(tmp_path / "s.sqlite3", clock=clock)) as store:
        session = new_session(store)
        store.set_behaviour(behaviour)
        choice(store, session)
        store.set_behaviour(Behaviour())  # changes nothing for an event that has happened

        clock.now += seconds - 0.001
        assert types(store) == []
        clock.now += 0.001
        assert types(store) == [event_type]


def test_out_of_order_tells_of_the_declined_card_later(tmp_path: Path) -> None:
    clock = Clock()
    with closing(Store(tmp_path / "s.sqlite3", clock=clock)) as store:
        store.pay(new_session(store), Tell.OUT_OF_ORDER)

        clock.now += OUT_OF_ORDER_SECONDS - 0.001
        assert types(store) == ["paid"]
        clock.now += 0.001
        assert types(store) == ["paid", "declined"]


def new_session(store: Store) -> str:
    new = NewSession(
        reference="r",
        amount=1,
        currency="EUR",
        description="d",
        success_url="http://shop.example/",
        cancel_url="http://shop.example/",
        webhook_url="http://shop.example/",
        expires_in_seconds=30 * 24 * 3600,
    )
    session, _ = store.create_session(new, idempotency_key="k", fingerprint="f")
    return session.id


# A database of before there was any of this

FIRST_SCHEMA = """
CREATE TABLE sessions (
    id TEXT PRIMARY KEY, idempotency_key TEXT NOT NULL UNIQUE, fingerprint TEXT NOT NULL,
    reference TEXT NOT NULL, amount INTEGER NOT NULL CHECK (amount > 0), currency TEXT NOT NULL,
    description TEXT NOT NULL, success_url TEXT NOT NULL, cancel_url TEXT NOT NULL,
    webhook_url TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'paid', 'expired')),
    created_at REAL NOT NULL, expires_at REAL NOT NULL
);
CREATE TABLE payments (
    id TEXT PRIMARY KEY, session_id TEXT NOT NULL REFERENCES sessions (id),
    status TEXT NOT NULL CHECK (status IN ('succeeded', 'failed')), created_at REAL NOT NULL
);
CREATE TABLE events (
    id TEXT PRIMARY KEY, session_id TEXT NOT NULL REFERENCES sessions (id), body BLOB NOT NULL,
    created_at REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, next_attempt_at REAL,
    delivered_at REAL
);
"""


def test_database_of_the_first_version_still_opens(tmp_path: Path) -> None:
    with receiving() as receiver:
        database = tmp_path / "s.sqlite3"
        with closing(sqlite3.connect(database)) as db, db:
            db.executescript(FIRST_SCHEMA)
            db.execute(
                "INSERT INTO sessions VALUES"
                " ('cs_1', 'k', '', 'old', 7550, 'EUR', 'd', 'http://a/', 'http://a/', ?, 'paid', 0, 0)",
                [receiver.url],
            )
            db.execute("INSERT INTO payments VALUES ('pay_1', 'cs_1', 'succeeded', 0)")
            event = ("evt_1", "cs_1", b'{"type": "checkout.paid"}', 0, 0, 0, None)
            db.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", event)

        with running_sandbox(database) as sandbox:
            assert told(receiver, 1) == ["paid"]
            assert sandbox.get("/v1/behaviour") == GOOD_BEHAVIOUR
            assert sandbox.refund("old", "pay_1", 7550).status_code == 201
            assert told(receiver, 2) == ["paid", "succeeded"]
