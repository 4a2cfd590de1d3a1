"""Each promise is broken on purpose: a check that can't fail would prove nothing."""

from __future__ import annotations

import sqlite3
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from outbox.models import Attempt, Gauge, Outbox
from payments.models import Payment
from payments.sandbox.schema import SCHEMA
from tests.chaos.promises import PROMISES, Outside, broken_promises
from tests.factories import (
    ApplicationFactory,
    ApplicationFileFactory,
    MailFactory,
    OutboxFactory,
    PaymentFactory,
)
from tests.integration.concurrently import another_connection, ask

pytestmark = pytest.mark.django_db(transaction=True)


class Database:
    def sql(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(query, parameters or None)
            return cursor.fetchall()


class Kept:
    """A small system in which every promise holds."""

    def __init__(self, folder: Path) -> None:
        self.sandbox, self.files = folder / "sandbox.sqlite3", folder / "files"
        self.files.mkdir()
        self.application = ApplicationFactory.create(status="completed")
        self.payment = PaymentFactory.create(application=self.application, paid=True)
        self.file = ApplicationFileFactory.create(application=self.application)
        (self.files / self.file.storage_name).write_bytes(b"%PDF-")
        self.mail = MailFactory.create(application=self.application, occasion="received")
        self.row = OutboxFactory.create(
            state="delivered",
            attempt_count=1,
            queue="send_email",
            handler="send_received_mail",
            aggregate_id=self.application.id,
        )
        self.attempt = Attempt.objects.create(
            outbox=self.row,
            number=1,
            worker="w",
            outcome="succeeded",
            started_at=self.row.created_at,
        )
        self.accepted = {"key": str(self.application.id)}
        self.keys = ["key"]
        self.mails = {self.mail.message_id: 1}
        with closing(sqlite3.connect(self.sandbox)) as sandbox:
            sandbox.executescript(SCHEMA)
        self.take_money(str(self.payment.id))

    def take_money(self, reference: str) -> None:
        session = uuid.uuid4().hex
        with closing(sqlite3.connect(self.sandbox)) as sandbox, sandbox:
            sandbox.execute(
                "INSERT INTO sessions VALUES (?, ?, '', ?, 1, 'USD', '', '', '', '', 'paid', 0, 0)",
                (session, session, reference),
            )
            sandbox.execute(
                "INSERT INTO payments VALUES (?, ?, 'succeeded', 0)", (session, session)
            )

    def broken(self) -> list[str]:
        outside = Outside(self.accepted, self.keys, self.mails, self.sandbox, self.files)
        return [line.removeprefix("BROKEN: ") for line in broken_promises(Database(), outside)]

    def assert_breaks(self, promise: str) -> None:
        assert [line.partition(".")[0] for line in self.broken()] == [promise.partition(".")[0]]


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def promise(beginning: str) -> str:
    (text,) = (text for text in PROMISES if text.startswith(beginning))
    return text


def test_all_promises_hold(kept):
    assert kept.broken() == []


def test_application_that_is_gone_breaks_a_promise(kept):
    kept.accepted["other"] = str(uuid.uuid4())
    kept.keys.append("other")

    kept.assert_breaks(promise("No 202 is missing"))


def test_application_that_was_made_twice_breaks_a_promise(kept):
    ApplicationFactory.create(status="completed")

    kept.assert_breaks(promise("No 202 is missing"))


@pytest.mark.parametrize("state", ["pending", "queued"])
def test_row_that_has_not_ended_breaks_a_promise(kept, state):
    OutboxFactory.create(state=state)

    kept.assert_breaks(promise("Every row"))


def test_application_that_nobody_works_on_breaks_a_promise(kept):
    kept.accepted["other"] = str(ApplicationFactory.create(status="verifying").id)
    kept.keys.append("other")

    kept.assert_breaks(promise("Every application"))


def test_row_that_was_delivered_twice_breaks_a_promise(kept):
    Outbox.objects.update(attempt_count=2)
    Attempt.objects.create(
        outbox=kept.row, number=2, worker="w", outcome="succeeded", started_at=kept.row.created_at
    )

    kept.assert_breaks(promise("A row is delivered"))


def test_row_that_was_delivered_by_no_attempt_breaks_a_promise(kept):
    Attempt.objects.update(outcome="lease_expired")

    kept.assert_breaks(promise("A row is delivered"))


def test_charge_that_was_made_twice_breaks_a_promise(kept):
    kept.take_money(str(kept.payment.id))

    kept.assert_breaks(promise("A charge"))


def test_charge_that_we_do_not_know_of_breaks_a_promise(kept):
    Payment.objects.update(state="awaiting", paid_at=None)

    kept.assert_breaks(promise("A charge"))


@pytest.mark.parametrize("copies", [0, 2])
def test_mail_that_was_not_sent_or_sent_twice_by_one_attempt_breaks_a_promise(kept, copies):
    kept.mails = {kept.mail.message_id: copies} if copies else {}

    kept.assert_breaks(promise("A mail"))


def test_mail_that_nobody_knows_of_breaks_a_promise(kept):
    kept.mails["<other@example.com>"] = 1

    kept.assert_breaks(promise("A mail"))


def test_file_without_a_row_breaks_a_promise(kept):
    (kept.files / "orphan").write_bytes(b"")

    kept.assert_breaks(promise("No file"))


def test_row_without_its_file_breaks_a_promise(kept):
    (kept.files / kept.file.storage_name).unlink()

    kept.assert_breaks(promise("No file"))


def test_lock_that_somebody_waits_for_breaks_a_promise(kept):
    with another_connection() as holder, another_connection() as waiter:
        holder.set_autocommit(False)
        ask(holder, "SELECT 1 FROM outbox WHERE id = %s FOR UPDATE", kept.row.id)
        waiter.connection.pgconn.send_query(
            f"SELECT 1 FROM outbox WHERE id = {kept.row.id} FOR UPDATE".encode()
        )
        blocked = (
            "SELECT count(*) FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0"
        )
        while not ask(connection, blocked):
            pass

        kept.assert_breaks(promise("No lock"))
        holder.rollback()


def test_gauge_that_is_not_0_breaks_a_promise(kept):
    Gauge.objects.create(name="lost_applications", value=1)

    kept.assert_breaks(promise("The gauges"))
