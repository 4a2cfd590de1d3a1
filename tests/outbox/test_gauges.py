from __future__ import annotations

import pytest
from django.db import connection

from outbox.conservation import MAX_EXAMPLES, Finding
from outbox.gauges import OVERDUE, stray_rows
from outbox.models import Outbox
from tests.factories import DeadLetterFactory
from tests.outbox.rows import QUEUE, hold_back, leased_row, move_time, pending_row, queued_row

pytestmark = pytest.mark.django_db
TOO_LATE = -OVERDUE.total_seconds() - 0.01


def test_stray_rows_are_none_when_each_row_waits_runs_or_has_ended():
    move_time(pending_row(), "available_at", 3600)
    move_time(queued_row(), "queued_at", -3600)
    leased_row()
    DeadLetterFactory.create()
    for state in ("delivered", "discarded"):
        pending_row(state=state)
    hold_back(QUEUE, waiting=[1, 2, 3, 4])

    assert stray_rows() == Finding(0, [])


@pytest.mark.parametrize(
    ("expired", "found"), [(TOO_LATE, 1), (-OVERDUE.total_seconds() + 5, 0), (-1, 0)]
)
def test_stray_rows_are_leased_past_every_deadline(expired: float, found: int):
    row, _ = leased_row()
    move_time(row, "lease_expires_at", expired)

    assert stray_rows() == Finding(found, [row.pk] * found)


def test_stray_rows_are_in_no_known_state():
    row = pending_row()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE outbox DROP CONSTRAINT outbox_state_known")
    Outbox.objects.update(state="lost")

    assert stray_rows() == Finding(1, [row.pk])


def test_stray_rows_wait_in_a_queue_that_does_not_exist():
    hold_back("removed", waiting=[1, 0, 2, 0])
    hold_back("removed_and_empty", waiting=[0, 0, 0, 0])
    hold_back("never_measured")

    assert stray_rows() == Finding(3, ["removed"])


def test_stray_rows_of_every_kind_are_counted_together():
    row, _ = leased_row()
    move_time(row, "lease_expires_at", TOO_LATE)
    hold_back("removed", waiting=[0, 0, 2, 0])

    assert stray_rows() == Finding(3, [row.pk, "removed"])


def test_stray_rows_are_all_counted_and_some_are_shown():
    for _ in range(MAX_EXAMPLES + 1):
        move_time(leased_row()[0], "lease_expires_at", TOO_LATE)

    found = stray_rows()

    assert (found.count, len(found.examples)) == (MAX_EXAMPLES + 1, MAX_EXAMPLES)
