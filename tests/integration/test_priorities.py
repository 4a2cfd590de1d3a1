"""What is urgent starts next, and what is not urgent starts all the same."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from django.conf import settings

from outbox import window
from outbox.models import Attempt, Outbox, Priority
from outbox.relay import AGED_EVERY, AGED_SECONDS, Relay
from tests.integration.backlog import (
    PATIENCE,
    QUEUE,
    all_delivered,
    database_time,
    delivered,
    insert_rows,
)
from tests.integration.cluster_app.flags import Flags
from tests.integration.clusters import CLUSTER_SETTINGS, running_clusters
from tests.integration.concurrently import in_thread
from tests.outbox.conftest import ids_on_list
from tests.waiting import wait_until

WORKERS = settings.WORKERS_PER_QUEUE

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def working_system(state_dir: Path) -> Iterator[Flags]:
    """Relay and workers that have worked off part of the backlog, and now stand at the gate."""
    flags = Flags(state_dir)
    with running_clusters("relay", QUEUE, state_dir=state_dir, settings=CLUSTER_SETTINGS):
        wait_until(lambda: delivered() > 100, within=PATIENCE)
        flags.gate_closed.touch()
        wait_until(lambda: len(flags.waiting()) == WORKERS, within=PATIENCE)
        yield flags


def starts_before(row_id: int, *, since: datetime) -> int:
    """How many attempts began between that time and the first one of this row."""
    first = Attempt.objects.get(outbox=row_id, number=1)
    return Attempt.objects.filter(started_at__gt=since, started_at__lt=first.started_at).count()


def test_critical_row_starts_next_however_many_others_are_worked_off(tmp_path):
    """A worker holds no id but that of its row. So when both end their rows at the same moment,
    one of them takes the critical row, and the other ones at most one row each."""
    others = insert_rows(5_000, handler="pass_gate")

    with working_system(tmp_path) as flags:
        (critical,) = insert_rows(1, handler="pass_gate", priority=Priority.CRITICAL)
        published = database_time()
        wait_until(lambda: ids_on_list(QUEUE, Priority.CRITICAL) == [critical], within=PATIENCE)
        not_started = Outbox.objects.filter(id__in=others, started_at=None).count()
        flags.gate_closed.unlink()
        wait_until(lambda: all_delivered([critical]), within=PATIENCE)

    assert not_started > 1_000
    assert starts_before(critical, since=published) <= WORKERS - 1


@contextmanager
def endless_urgent_rows() -> Iterator[None]:
    """Keep hundreds of critical and high rows waiting."""
    stop = threading.Event()

    def publish() -> None:
        while not stop.wait(0.01):
            if Outbox.objects.filter(state="pending").count() < 1_000:
                insert_rows(250, handler="pass_gate", priority=Priority.CRITICAL)
                insert_rows(250, handler="pass_gate", priority=Priority.HIGH)

    publisher = in_thread(publish)
    try:
        yield
    finally:
        stop.set()
        publisher.result(20)


def test_aged_row_starts_while_an_endless_stream_of_urgent_rows_goes_on(tmp_path):
    """Every worker counts its own starts: none of them makes more than `AGED_EVERY - 1` before one
    that takes the aged row."""
    with endless_urgent_rows(), working_system(tmp_path) as flags:
        (low,) = insert_rows(
            1, handler="pass_gate", priority=Priority.LOW, due_in=-AGED_SECONDS - 1
        )
        wait_until(lambda: ids_on_list(QUEUE, window.AGED) == [low], within=PATIENCE)
        since = database_time()
        flags.gate_closed.unlink()
        wait_until(lambda: all_delivered([low]), within=PATIENCE)
        started_at = Outbox.objects.get(pk=low).started_at
        wait_until(lambda: Attempt.objects.filter(started_at__gt=started_at).count() > 100)

    assert starts_before(low, since=since) <= WORKERS * (AGED_EVERY - 1)
    urgent = Outbox.objects.exclude(pk=low).filter(created_at__lt=started_at)
    assert urgent.exclude(started_at__lt=started_at).exists()  # not for want of anything else


def test_critical_row_is_queued_in_one_round_before_100_000_others():
    insert_rows(100_000)
    (critical,) = insert_rows(1, priority=Priority.CRITICAL)

    Relay().tick()

    assert ids_on_list(QUEUE, Priority.CRITICAL) == [critical]
    assert window.pop(QUEUE, aged_first=False) == critical


def test_critical_row_finds_room_in_a_full_window():
    insert_rows(1_000)
    relay = Relay()
    relay.tick()
    full = window.lengths(QUEUE).total
    (critical,) = insert_rows(1, priority=Priority.CRITICAL)

    relay.tick()

    assert 0 < full < 1_000
    assert window.pop(QUEUE, aged_first=False) == critical
