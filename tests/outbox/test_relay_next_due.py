from __future__ import annotations

import pytest

from outbox.relay import next_due_seconds
from tests.outbox.rows import move_time, pending_row, queued_row

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("due_in", "low", "high"),
    [([], 2, 2), ([60], 2, 2), ([-5], 2, 2), ([60, 1], 0.5, 1), ([-5, 1], 0.5, 1)],
)
def test_next_due_seconds_is_the_first_coming_row_within_the_limit(
    due_in: list[float], low: float, high: float
):
    for seconds in due_in:
        move_time(pending_row(), "available_at", seconds)

    assert low <= next_due_seconds(at_most=2) <= high


def test_next_due_seconds_looks_only_at_pending_rows():
    move_time(queued_row(), "available_at", 1)

    assert next_due_seconds(at_most=2) == 2


def test_next_due_seconds_counts_a_row_that_became_due_since_the_tick(monkeypatch):
    monkeypatch.setattr("outbox.relay.JUST_DUE_SECONDS", 10)
    move_time(pending_row(), "available_at", -5)

    assert next_due_seconds(at_most=2) == 0
