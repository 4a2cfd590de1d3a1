from __future__ import annotations

import select
import threading
from collections.abc import Iterator

import pytest
from django.db import OperationalError, connection, connections, transaction

from outbox import dead_letters
from outbox.delivery import deliver
from outbox.registry import handler
from outbox.services import Event, publish
from outbox.wake_up import WakeUp
from tests.factories import DeadLetterFactory
from tests.outbox.rows import leased_row

pytestmark = pytest.mark.django_db(transaction=True)

# Far longer than any of these tests may take: what returns before it was woken.
LONG = 30.0


@pytest.fixture
def wake_up() -> Iterator[WakeUp]:
    """One that listens already."""
    with WakeUp() as listening:
        listening.wait(LONG)
        yield listening


def waits_in_thread(wake_up: WakeUp) -> threading.Thread:
    thread = threading.Thread(target=wake_up.wait, args=[LONG])
    thread.start()
    return thread


def notify() -> None:
    with connection.cursor() as cursor:
        cursor.execute("NOTIFY outbox")


def is_ready(wake_up: WakeUp) -> bool:
    assert wake_up._listener is not None
    return bool(select.select([wake_up._listener], [], [], 0)[0])


def test_wait_returns_when_another_connection_notifies(wake_up):
    waiting = waits_in_thread(wake_up)

    notify()

    waiting.join(LONG / 3)
    assert not waiting.is_alive()


def test_wait_returns_when_rows_were_published_before_it_began(wake_up, handlers):
    @handler("thing_happened", queue="send_email")
    def work(message): ...

    with transaction.atomic():
        publish(Event("thing_happened"))

    waiting = waits_in_thread(wake_up)

    waiting.join(LONG / 3)
    assert not waiting.is_alive()


def test_wait_takes_all_notifications_at_once(wake_up):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify('outbox', n::text) FROM generate_series(1, 20) AS n")

    wake_up.wait(LONG)

    assert not is_ready(wake_up)


def test_wait_without_a_notification_ends_with_its_time(wake_up):
    wake_up.wait(0.01)

    assert not is_ready(wake_up)


def test_wait_returns_when_the_cluster_stops(wake_up, stop_cluster):
    waiting = waits_in_thread(wake_up)

    stop_cluster()

    waiting.join(LONG / 3)
    assert not waiting.is_alive()


def test_wait_listens_anew_after_its_connection_was_cut_off(wake_up):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [wake_up._listener.info.backend_pid])

    wake_up.wait(LONG)  # finds out
    wake_up.wait(LONG)  # listens again
    waiting = waits_in_thread(wake_up)
    notify()

    waiting.join(LONG / 3)
    assert not waiting.is_alive()


def test_wait_without_a_database_waits_all_the_same(monkeypatch):
    def refuse(alias):
        wrapper = real(alias)
        wrapper.connect = cut_off
        return wrapper

    def cut_off():
        raise OperationalError("connection refused")

    real = connections.create_connection
    monkeypatch.setattr(connections, "create_connection", refuse)

    with WakeUp() as wake_up:
        wake_up.wait(0.01)

        assert wake_up._listener is None


def test_wake_up_closes_its_connection():
    with WakeUp() as wake_up:
        wake_up.wait(LONG)
        listener = wake_up._listener

    assert listener is not None
    assert listener.closed


def test_publish_wakes_the_relay_at_the_commit(listening, handlers):
    @handler("thing_happened", queue="send_email")
    def work(message): ...

    with transaction.atomic():
        publish(Event("thing_happened"))

    assert listening() == 1


def test_retry_of_a_dead_letter_wakes_the_relay(listening, staff):
    dead_letters.retry(row_id=DeadLetterFactory.create().pk, user_id=staff.pk, reason="again")

    assert listening() == 1


def test_attempt_whose_row_waits_for_the_next_wakes_the_relay(listening, handlers):
    @handler("thing_happened", queue="send_email")
    def work(message):
        raise ValueError

    deliver(leased_row()[1])

    assert listening() == 1
