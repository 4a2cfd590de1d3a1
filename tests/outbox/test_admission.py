from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from outbox import admission
from outbox.admission import MAX_RETRY_AFTER_SECONDS, retry_after_seconds
from outbox.models import Priority
from tests.outbox.rows import hold_back

pytestmark = pytest.mark.django_db
LIMIT = 100


@pytest.fixture(autouse=True)
def limit(settings) -> Iterator[None]:
    """Nothing is remembered from before, and a backlog may be worth a hundred seconds."""
    settings.OUTBOX_MAX_BACKLOG_SECONDS = LIMIT
    admission._measured.cache_clear()
    yield
    admission._measured.cache_clear()


def answers() -> list[int | None]:
    """The answer for each priority, most urgent first."""
    return [retry_after_seconds(priority) for priority in Priority.values]


def test_work_is_admitted_when_nothing_was_measured():
    hold_back("create_payment", waiting=[0, 0, 10**9, 0])

    assert answers() == [None] * 4


def test_work_is_admitted_when_the_drain_is_zero():
    hold_back(waiting=[0, 0, 10**9, 0], drain_per_second=0)

    assert answers() == [None] * 4


@pytest.mark.parametrize(
    ("waiting", "retry_after"),
    [
        ([0, 0, 0, 0], [None, None, None, None]),
        ([0, 0, 0, 200], [None, None, None, None]),
        ([0, 0, 0, 201], [None, None, None, 1]),
        ([0, 0, 0, 220], [None, None, None, 10]),
        ([0, 0, 200, 0], [None, None, None, None]),
        ([0, 0, 200, 20], [None, None, None, 10]),
        ([0, 0, 220, 0], [None, None, 10, 10]),
        ([0, 200, 20, 20], [None, None, 10, 20]),
        ([220, 0, 0, 0], [10, 10, 10, 10]),
        ([200, 0, 0, 0], [None, None, None, None]),
    ],
)
def test_work_is_refused_when_more_urgent_work_takes_longer_than_the_limit(
    waiting: list[int], retry_after: list[int | None]
):
    hold_back(waiting=waiting, drain_per_second=2)

    assert answers() == retry_after


def test_work_is_refused_by_the_fullest_queue():
    hold_back("create_payment", waiting=[0, 0, 300, 0], drain_per_second=2)
    hold_back("send_email", waiting=[0, 0, 260, 0], drain_per_second=2)
    hold_back("verify_document", waiting=[0, 0, 10, 0], drain_per_second=2)

    assert retry_after_seconds(Priority.NORMAL) == 50


@pytest.mark.parametrize(("backlog", "retry_after"), [(3699, 3599), (3700, 3600), (10**9, 3600)])
def test_work_is_refused_for_at_most_an_hour(backlog: int, retry_after: int):
    hold_back(waiting=[0, 0, backlog, 0], drain_per_second=1)

    assert retry_after_seconds(Priority.NORMAL) == retry_after
    assert MAX_RETRY_AFTER_SECONDS == 3600


def test_admission_looks_at_the_measurements_only_so_often(monkeypatch, django_assert_num_queries):
    clock = iter([10.0, 10.9, 11.0])
    monkeypatch.setattr(admission, "time", SimpleNamespace(monotonic=clock.__next__))
    with django_assert_num_queries(1):
        first = retry_after_seconds(Priority.NORMAL)
        second = retry_after_seconds(Priority.NORMAL)
    hold_back(waiting=[0, 0, 110, 0], drain_per_second=1)

    assert (first, second) == (None, None)
    assert retry_after_seconds(Priority.NORMAL) == 10
