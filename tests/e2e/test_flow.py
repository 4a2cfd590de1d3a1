"""Applications through the real processes, also when one of them is killed in the middle."""

from __future__ import annotations

import json
import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from runtime.demo_client import DemoClient
from tests.e2e.running_system import RunningSystem, complete_an_application, follow, wait_for

EVENTS = {
    *("submitted", "verification_started", "document_verified", "payment_started"),
    *("payment_requested", "checkout_opened", "payment_received", "completed"),
}


@pytest.fixture
def database(system: RunningSystem) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """The running system's database."""
    environment = json.loads((system.state_dir / "environment.json").read_text())
    with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as connection:
        yield connection


@pytest.fixture
def client(system: RunningSystem) -> Iterator[DemoClient]:
    client = DemoClient(system.address)
    client.sign_in("student@example.com", "sluice-demo")
    yield client
    client.close()


@contextmanager
def no_payment_can_be_made(database: psycopg.Connection[tuple[Any, ...]]) -> Iterator[None]:
    """Let every attempt at `create_payment` wait in its middle for as long as this lasts."""
    with database.transaction():
        database.execute("LOCK TABLE payments_payment IN SHARE MODE")
        yield


def submit(client: DemoClient) -> uuid.UUID:
    client.submit()
    client.follow()
    return uuid.UUID(client.status["applicationId"])


def attempt_in_the_middle(
    database: psycopg.Connection[tuple[Any, ...]], application_id: uuid.UUID
) -> tuple[int, int]:
    """Wait until a worker is at `create_payment`; return the row's id and the worker's pid."""
    query = """
        SELECT id, worker FROM outbox
        WHERE aggregate_id = %s AND handler = 'create_payment' AND state = 'processing'
    """
    assert wait_for(lambda: database.execute(query, [application_id]).fetchone() is not None)
    [(row_id, worker)] = database.execute(query, [application_id])
    return row_id, int(worker.rpartition(":")[2])


def complete(client: DemoClient) -> None:
    follow(client, "awaiting_payment")
    client.pay()
    follow(client, "completed")


def test_application_runs_to_completed_with_one_attempt_and_one_mail_each(
    system: RunningSystem, database: psycopg.Connection[tuple[Any, ...]], client: DemoClient
) -> None:
    application_id = submit(client)
    complete(client)

    assert {entry["event"] for entry in client.status["timeline"]} == EVENTS
    assert [file["state"] for file in client.status["documents"]] == ["verified", "verified"]
    unfinished = "SELECT count(*) FROM outbox WHERE aggregate_id = %s AND state <> 'delivered'"
    assert wait_for(lambda: database.execute(unfinished, [application_id]).fetchone() == (0,))
    attempts = "SELECT DISTINCT attempt_count FROM outbox WHERE aggregate_id = %s"
    assert database.execute(attempts, [application_id]).fetchall() == [(1,)]
    mails = "SELECT occasion FROM notifications_mail WHERE application_id = %s ORDER BY occasion"
    assert database.execute(mails, [application_id]).fetchall() == [
        ("completed",),
        ("pay_now",),
        ("received",),
    ]


def test_killed_worker_loses_nothing_and_pays_nothing_twice(
    database: psycopg.Connection[tuple[Any, ...]], client: DemoClient
) -> None:
    with no_payment_can_be_made(database):
        application_id = submit(client)
        row_id, pid = attempt_in_the_middle(database, application_id)
        os.kill(pid, signal.SIGKILL)
    # What happens by itself when the lease has run out, 15 s later.
    database.execute("UPDATE outbox SET lease_expires_at = now() WHERE id = %s", [row_id])

    complete(client)

    outcomes = "SELECT outcome FROM outbox_attempt WHERE outbox_id = %s ORDER BY number"
    assert database.execute(outcomes, [row_id]).fetchall() == [("lease_expired",), ("succeeded",)]
    payments = "SELECT count(*) FROM payments_payment WHERE application_id = %s"
    assert database.execute(payments, [application_id]).fetchone() == (1,)


def test_killed_valkey_loses_nothing_and_work_goes_on(
    system: RunningSystem, database: psycopg.Connection[tuple[Any, ...]], client: DemoClient
) -> None:
    killed = system.pid_of("valkey")
    with no_payment_can_be_made(database):
        application_id = submit(client)
        attempt_in_the_middle(database, application_id)
        os.kill(killed, signal.SIGKILL)

    complete(client)

    assert system.pid_of("valkey") != killed
    complete_an_application(system.address)
