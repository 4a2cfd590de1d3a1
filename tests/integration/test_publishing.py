from __future__ import annotations

import psycopg
import pytest
from django.db import connection, transaction

from outbox.models import Outbox
from outbox.registry import handler
from outbox.services import Event, Published, publish
from tests.integration.concurrently import (
    another_connection,
    ask,
    in_thread,
    is_blocked,
)
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def work(handlers):
    @handler("thing_happened", queue="send_email")
    def work(message): ...


def notifications(listener: psycopg.Connection) -> int:
    """How many have arrived; one that is on its way is waited for."""
    return len(list(listener.notifies(timeout=0.2)))


def test_publish_is_seen_by_others_only_at_the_commit():
    with another_connection() as other:
        with transaction.atomic():
            publish(Event("thing_happened"))
            before = ask(other, "SELECT count(*) FROM outbox")
        after = ask(other, "SELECT count(*) FROM outbox")

    assert (before, after) == (0, 1)


def test_publish_notifies_once_and_only_at_the_commit():
    with another_connection() as other:
        ask(other, "LISTEN outbox")
        with transaction.atomic():
            publish(Event("thing_happened"))
            publish(Event("thing_happened"))
            before = notifications(other.connection)
        after = notifications(other.connection)

    assert (before, after) == (0, 1)


def test_publish_that_is_rolled_back_notifies_nobody():
    with another_connection() as other:
        ask(other, "LISTEN outbox")
        with transaction.atomic():
            publish(Event("thing_happened"))
            transaction.set_rollback(True)

        assert notifications(other.connection) == 0


def test_publish_that_was_deduplicated_notifies_nobody():
    with transaction.atomic():
        publish(Event("thing_happened", dedupe_key="once"))
    with another_connection() as other:
        ask(other, "LISTEN outbox")
        with transaction.atomic():
            publish(Event("thing_happened", dedupe_key="once"))

        assert notifications(other.connection) == 0


@pytest.mark.parametrize(("first_commits", "deduplicated"), [(True, 1), (False, 0)])
def test_publish_waits_for_an_open_transaction_with_the_same_dedupe_key(
    first_commits: bool, deduplicated: int
):
    pids = []

    def publish_second() -> Published:
        with transaction.atomic():
            pids.append(ask(connection, "SELECT pg_backend_pid()"))
            return publish(Event("thing_happened", dedupe_key="once"))

    with transaction.atomic():
        publish(Event("thing_happened", dedupe_key="once"))
        second = in_thread(publish_second)
        wait_until(lambda: bool(pids) and is_blocked(pids[0]))
        transaction.set_rollback(not first_commits)

    assert second.result(20).deduplicated == deduplicated
    assert Outbox.objects.count() == 1
