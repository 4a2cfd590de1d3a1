from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.db import connection

from outbox import retention
from outbox.models import Attempt, Outbox, StaffAction
from outbox.retention import prune
from tests.factories import AttemptFactory
from tests.outbox.rows import leased_row, move_time, pending_row, queued_row

pytestmark = pytest.mark.django_db
DAYS = 7
AGE = DAYS * 24 * 3600


@pytest.fixture(autouse=True)
def days(settings) -> None:
    settings.OUTBOX_RETENTION_DAYS = DAYS


def finished_row(seconds_ago: float = AGE + 1, **columns: object) -> Outbox:
    row = pending_row(**{"state": "delivered", **columns})
    move_time(row, "finished_at", -seconds_ago)
    return row


@pytest.mark.parametrize(("seconds_ago", "left"), [(AGE + 0.01, 0), (AGE - 60, 1), (0, 1)])
def test_prune_deletes_a_row_that_was_delivered_long_ago(seconds_ago: float, left: int):
    finished_row(seconds_ago)

    assert prune() == 1 - left
    assert Outbox.objects.count() == left


def test_prune_deletes_attempts_and_staff_actions_with_their_row(staff):
    old, young = finished_row(), finished_row(60)
    for row in (old, young):
        AttemptFactory.create(outbox=row, number=1)
        AttemptFactory.create(outbox=row, number=2)
        StaffAction.objects.create(outbox=row, action="retry", user=staff, reason="again")

    assert prune() == 1
    assert list(Outbox.objects.all()) == [young]
    assert set(Attempt.objects.values_list("outbox_id", flat=True)) == {young.pk}
    assert list(StaffAction.objects.values_list("outbox_id", flat=True)) == [young.pk]
    with connection.cursor() as cursor:  # what refers to the row is checked no later than here
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_prune_keeps_dead_letters_and_what_was_discarded_for_ever():
    finished_row(10 * AGE, state="dead", dead_reason="exhausted")
    finished_row(10 * AGE, state="discarded")

    assert prune() == 0
    assert Outbox.objects.count() == 2


def test_prune_keeps_what_is_not_finished():
    rows = [pending_row(), queued_row(), leased_row()[0]]
    for row in rows:
        move_time(row, "created_at", -10 * AGE)
        move_time(row, "available_at", -10 * AGE)

    assert prune() == 0
    assert Outbox.objects.count() == 3


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5])
def test_prune_goes_on_in_batches_until_none_is_left(monkeypatch, rows: int):
    monkeypatch.setattr(retention, "BATCH", 2)
    for _ in range(rows):
        finished_row()

    assert prune() == rows
    assert Outbox.objects.count() == 0


def test_prune_leaves_what_its_time_does_not_suffice_for(monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    clock = iter([0.0, 0.0, retention.RUN_SECONDS])
    monkeypatch.setattr(retention, "time", SimpleNamespace(monotonic=clock.__next__))
    rows = [finished_row(AGE + seconds) for seconds in (10, 30, 20)]

    assert prune() == 2
    assert list(Outbox.objects.all()) == [rows[0]]
