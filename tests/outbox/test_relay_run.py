from __future__ import annotations

import threading

import pytest
import redis
from django.db import DatabaseError, InterfaceError, OperationalError, connection, connections

from outbox import broker, relay, relay_run, window
from outbox.models import Gauge, RelayRun
from outbox.redis_client import client as redis_client
from outbox.relay_run import OVERDUE_SECONDS, RUN_SECONDS, TICK_SECONDS, Run
from tests.outbox.rows import QUEUE, control_of, leased_row, move_time, pending_row, state_of

pytestmark = pytest.mark.django_db


def set_age(run: Run, seconds: float, *, ticked: float | None = None) -> None:
    """As if the run had started, and last ticked, so many seconds ago."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE outbox_relay_run SET started_at = clock_timestamp() - make_interval(secs => %s)"
            ", ticked_at = clock_timestamp() - make_interval(secs => %s) WHERE id = %s",
            [seconds, seconds if ticked is None else ticked, run.id],
        )


def relay_tasks() -> int:
    """How many tasks wait for the relay's cluster."""
    return redis_client().llen("django_q:relay:q")


def test_step_moves_due_rows_and_notes_its_tick():
    row, run = pending_row(), Run()
    set_age(run, 30)
    before = RelayRun.objects.get().ticked_at

    assert run.step() == TICK_SECONDS
    assert state_of(row) == "queued"
    assert RelayRun.objects.get().ticked_at > before


def test_step_ticks_before_it_repairs_and_what_it_has_taken_back_is_moved_next():
    row, _ = leased_row()
    move_time(row, "lease_expires_at", -1)
    run = Run()

    run.step()
    taken_back = state_of(row)
    run.step()

    assert (taken_back, state_of(row), window.ids(QUEUE)) == ("pending", "queued", {row.id})


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("step", ["repair", "observe"])
def test_step_that_fails_to_maintain_has_ticked_and_goes_on_ticking(monkeypatch, step: str):
    def fail(self: object) -> None:
        raise OperationalError("a lock, a timeout")

    monkeypatch.setattr(relay.Relay, step, fail)
    run = Run()
    row = pending_row()

    pause = run.step()
    moved = state_of(row)
    later = pending_row()
    run.step()

    assert (pause, moved, state_of(later)) == (relay_run.ERROR_SECONDS, "queued", "queued")


def test_step_repairs_only_once_in_a_while():
    run = Run()
    run.step()
    row, _ = leased_row()
    move_time(row, "lease_expires_at", -1)

    run.step()

    assert state_of(row) == "processing"


def test_step_comes_back_at_once_when_it_finds_a_backlog_and_then_while_it_lasts():
    for _ in range(relay.WINDOW_MIN + 1):
        pending_row()
    run = Run()

    pauses = [run.step(), run.step()]

    assert pauses == [relay_run.DRY_SECONDS, relay_run.BACKLOG_SECONDS]


def test_step_observes_only_once_in_a_while():
    run = Run()

    run.step()
    first = Gauge.objects.get(pk="stray_rows").checked_at
    run.step()

    assert Gauge.objects.get(pk="stray_rows").checked_at == first
    assert control_of(QUEUE).measured_at is not None


def test_step_comes_back_when_the_next_row_is_due():
    move_time(pending_row(), "available_at", 1)

    pause = Run().step()

    assert pause is not None
    assert 0 < pause <= 1


@pytest.mark.parametrize("age", [RUN_SECONDS + 1, OVERDUE_SECONDS + 1])
def test_run_ends_once_it_is_old_and_a_younger_one_ticks(age: float):
    old, young = Run(), Run()
    set_age(old, age)
    young.step()

    assert old.step() is None
    assert young.step() is not None
    assert relay_tasks() == 0


def test_run_goes_on_while_it_is_not_old():
    old, young = Run(), Run()
    set_age(old, RUN_SECONDS - 5)
    young.step()

    assert old.step() is not None


def test_run_goes_on_while_its_successor_does_not_tick():
    old, young = Run(), Run()
    set_age(old, RUN_SECONDS + 1)
    set_age(young, 30, ticked=2 * TICK_SECONDS + 1)

    assert old.step() is not None
    assert relay_tasks() == 0


def test_run_does_not_take_an_older_run_for_its_successor():
    old, young = Run(), Run()
    set_age(old, RUN_SECONDS + 10, ticked=0)
    set_age(young, RUN_SECONDS + 1)

    assert young.step() is not None


def test_overdue_run_without_a_successor_enqueues_one_once():
    run = Run()
    set_age(run, OVERDUE_SECONDS + 1)

    pauses = [run.step(), run.step()]

    assert None not in pauses
    assert relay_tasks() == 1


def test_overdue_run_tries_again_to_enqueue_when_redis_was_away(monkeypatch):
    run = Run()
    set_age(run, OVERDUE_SECONDS + 1)
    with monkeypatch.context() as patch:
        patch.setattr(broker, "enqueue_relay_run", raise_connection_error)
        assert run.step() is not None

    run.step()

    assert relay_tasks() == 1


def raise_connection_error() -> None:
    raise redis.ConnectionError


def test_run_that_was_swept_ends():
    run = Run()
    RelayRun.objects.all().delete()

    assert run.step() is None


def test_new_run_sweeps_the_rows_of_runs_long_gone():
    gone, recent = Run(), Run()
    set_age(gone, 3700)
    set_age(recent, 3500)

    new = Run()

    assert set(RelayRun.objects.values_list("id", flat=True)) == {recent.id, new.id}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [DatabaseError, InterfaceError])
def test_step_waits_and_goes_on_after_a_database_error(monkeypatch, error):
    run, row = Run(), pending_row()

    def cut_off(self):
        raise error("server closed the connection unexpectedly")

    with monkeypatch.context() as patch:
        patch.setattr(relay.Relay, "tick", cut_off)
        assert run.step() == relay_run.ERROR_SECONDS

    assert run.step() == TICK_SECONDS
    assert state_of(row) == "queued"


@pytest.mark.django_db(transaction=True)
def test_step_goes_on_after_its_connection_was_terminated():
    run, row = Run(), pending_row()
    killer = connections.create_connection("default")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()
    with killer.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", pid)
    killer.close()

    assert run.step() == relay_run.ERROR_SECONDS
    assert run.step() == TICK_SECONDS
    assert state_of(row) == "queued"


@pytest.mark.django_db(transaction=True)
def test_run_moves_rows_until_the_cluster_stops(stop_cluster):
    row = pending_row()

    def stop_once_queued() -> None:
        redis_client().blpop([f"outbox:{QUEUE}:2"], 20)
        stop_cluster()

    stopper = threading.Thread(target=stop_once_queued)
    stopper.start()
    relay_run.run()
    stopper.join()

    assert state_of(row) == "queued"
