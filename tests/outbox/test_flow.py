from __future__ import annotations

import dataclasses

import pytest

from outbox import flow
from outbox.exceptions import MAX_RETRY_AFTER_SECONDS, Unavailable
from outbox.flow import (
    BREAKER_FAILURES,
    FIRST_PROBE_SECONDS,
    LONGEST_PROBE_SECONDS,
    MAX_CAUSE_LENGTH,
    arm_probe,
    holds,
    note_available,
    note_unavailable,
    pause,
    resume,
    take_permit,
)
from outbox.models import QueueControl
from outbox.queues import get_queue
from tests.outbox.rows import (
    QUEUE,
    control_of,
    hold_back,
    move_control_time,
    open_breaker,
    seconds_until,
)

pytestmark = pytest.mark.django_db


def fail(times: int = 1, *, probe: bool = False, retry_after_seconds: float = 0) -> None:
    """Count attempts that found their provider unavailable."""
    for number in range(times):
        note_unavailable(
            QUEUE,
            cause=f"away {number + 1}",
            probe=probe,
            retry_after_seconds=retry_after_seconds,
        )


def seconds_until_probe() -> float:
    return seconds_until("outbox_queue", "name", QUEUE, "probe_at")


def test_pause_says_who_and_why(staff):
    pause(queue=QUEUE, user_id=staff.pk, reason="maintenance")

    control = control_of()
    assert (control.paused_by, control.pause_reason) == (staff, "maintenance")
    assert {name: hold.paused_at for name, hold in holds().items()} == {QUEUE: control.paused_at}


def test_pause_again_changes_who_and_why(staff):
    pause(queue=QUEUE, user_id=None, reason="first")

    pause(queue=QUEUE, user_id=staff.pk, reason="second")

    control = control_of()
    assert (control.paused_by, control.pause_reason) == (staff, "second")


def test_pause_keeps_what_was_measured_and_counted():
    hold_back(failures=3, waiting=[1, 2, 3, 4], drain_per_second=5)

    pause(queue=QUEUE, user_id=None, reason="maintenance")

    control = control_of()
    assert (control.failures, control.waiting, control.drain_per_second) == (3, [1, 2, 3, 4], 5)


def test_resume_lets_the_queue_go(staff):
    pause(queue=QUEUE, user_id=staff.pk, reason="maintenance")

    resume(queue=QUEUE, user_id=staff.pk)

    control = control_of()
    assert (control.paused_at, control.paused_by, control.pause_reason) == (None, None, "")
    assert holds() == {}


def test_resume_of_a_queue_that_is_not_paused_does_nothing():
    resume(queue=QUEUE, user_id=None)

    assert not QueueControl.objects.exists()


def test_resume_leaves_an_open_breaker_open():
    open_breaker()
    pause(queue=QUEUE, user_id=None, reason="maintenance")

    resume(queue=QUEUE, user_id=None)

    assert [(name, hold.paused_at) for name, hold in holds().items()] == [(QUEUE, None)]
    assert control_of().opened_at is not None


def test_unknown_queue_can_be_neither_paused_nor_resumed():
    with pytest.raises(KeyError, match="no_such_queue"):
        pause(queue="no_such_queue", user_id=None, reason="by mistake")
    with pytest.raises(KeyError, match="no_such_queue"):
        resume(queue="no_such_queue", user_id=None)
    assert not QueueControl.objects.exists()


@pytest.mark.parametrize(
    ("paused", "probe_in", "due"),
    [(False, -0.01, True), (False, 5, False), (True, -0.01, False), (True, 5, False)],
)
def test_holds_say_whether_a_probe_is_due(paused: bool, probe_in: float, due: bool):
    open_breaker(probe_in=probe_in)
    if paused:
        pause(queue=QUEUE, user_id=None, reason="maintenance")

    assert holds()[QUEUE].is_probe_due is due


def test_holds_of_queues_that_only_count_or_were_measured_are_none():
    hold_back(failures=BREAKER_FAILURES - 1, waiting=[1, 0, 0, 0], drain_per_second=5)

    assert holds() == {}


def test_breaker_stays_closed_until_one_failure_before_its_limit():
    fail(BREAKER_FAILURES - 1)

    control = control_of()
    assert (control.failures, control.cause) == (BREAKER_FAILURES - 1, "away 4")
    assert (control.opened_at, control.probe_at, holds()) == (None, None, {})


def test_breaker_opens_at_its_limit_and_probes_soon():
    fail(BREAKER_FAILURES)

    control = control_of()
    assert (control.failures, control.cause) == (BREAKER_FAILURES, "away 5")
    assert control.opened_at is not None
    assert FIRST_PROBE_SECONDS / 2 < seconds_until_probe() <= FIRST_PROBE_SECONDS
    assert list(holds()) == [QUEUE]


def test_breaker_that_is_open_is_not_moved_by_late_failures():
    opened = open_breaker(probe_in=30)

    fail(3)

    control = control_of()
    assert (control.opened_at, control.probe_at) == (opened.opened_at, opened.probe_at)
    assert control.failures == opened.failures + 3


def test_breaker_keeps_its_armed_probe_when_other_attempts_fail():
    open_breaker(probe_in=30, probe_row_id=7)

    fail()

    assert control_of().probe_row_id == 7


@pytest.mark.parametrize(
    ("failed_probes", "wait"),
    [(0, 4), (1, 8), (2, 16), (3, 32), (4, 60), (5, 60), (1000, 60)],
)
def test_breaker_waits_twice_as_long_after_each_failed_probe_up_to_a_minute(
    failed_probes: int, wait: float
):
    opened = open_breaker(probe_in=-1, probe_row_id=7, failed_probes=failed_probes)

    fail(probe=True)

    control = control_of()
    assert (control.failed_probes, control.probe_row_id) == (failed_probes + 1, None)
    assert control.opened_at == opened.opened_at
    assert wait / 2 < seconds_until_probe() <= wait


def test_breaker_bounds_are_what_the_table_above_says():
    assert (FIRST_PROBE_SECONDS, LONGEST_PROBE_SECONDS) == (2, 60)


@pytest.mark.parametrize("probe", [False, True])
@pytest.mark.parametrize(("retry_after", "wait"), [(0.5, None), (300, 300), (3600, 3600)])
def test_breaker_waits_as_long_as_the_provider_asked_for(
    probe: bool, retry_after: float, wait: float | None
):
    if probe:
        open_breaker(probe_in=-1, probe_row_id=7)
    else:
        hold_back(failures=BREAKER_FAILURES - 1)
    expected = wait or FIRST_PROBE_SECONDS * (2 if probe else 1)

    fail(probe=probe, retry_after_seconds=retry_after)

    assert expected / 2 < seconds_until_probe() <= expected


@pytest.mark.parametrize(
    ("asked", "kept"), [(-1, 0), (0, 0), (30.5, 30.5), (3600, 3600), (3600.5, 3600), (1e12, 3600)]
)
def test_unavailable_asks_for_at_most_an_hour(asked: float, kept: float):
    assert Unavailable("busy", retry_after_seconds=asked).retry_after_seconds == kept
    assert MAX_RETRY_AFTER_SECONDS == 3600


def test_breaker_cuts_off_a_cause_that_is_too_long():
    note_unavailable(QUEUE, cause="x" * (MAX_CAUSE_LENGTH + 1), probe=False, retry_after_seconds=0)

    assert control_of().cause == "x" * MAX_CAUSE_LENGTH


def test_breaker_of_another_queue_stays_closed():
    fail(BREAKER_FAILURES)

    note_unavailable("create_payment", cause="away", probe=False, retry_after_seconds=0)

    assert control_of("create_payment").opened_at is None


def test_note_available_closes_the_breaker_and_forgets_its_failures():
    open_breaker(probe_row_id=7, failed_probes=3)

    note_available(QUEUE, probe=True)

    control = control_of()
    assert (control.failures, control.failed_probes, control.cause) == (0, 0, "")
    assert (control.opened_at, control.probe_at, control.probe_row_id) == (None, None, None)
    assert holds() == {}


def test_note_available_leaves_a_pause():
    pause(queue=QUEUE, user_id=None, reason="maintenance")

    note_available(QUEUE, probe=True)

    assert list(holds()) == [QUEUE]


def test_breaker_counts_from_zero_after_it_was_closed():
    fail(BREAKER_FAILURES)
    note_available(QUEUE, probe=True)

    fail(BREAKER_FAILURES - 1)

    assert control_of().opened_at is None


def test_arm_probe_names_its_row_and_puts_the_next_probe_off():
    open_breaker(probe_in=-1)

    arm_probe(queue=QUEUE, row_id=7, seconds=15)

    assert control_of().probe_row_id == 7
    assert 7 < seconds_until_probe() <= 15


def test_arm_probe_of_a_closed_breaker_does_nothing():
    hold_back(failures=1)

    arm_probe(queue=QUEUE, row_id=7, seconds=15)

    control = control_of()
    assert (control.probe_row_id, control.probe_at) == (None, None)


limited = dataclasses.replace(get_queue(QUEUE), rate_per_second=0.1)


def test_take_permit_of_a_queue_without_a_limit_is_free(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert [take_permit(get_queue(QUEUE)), take_permit(get_queue(QUEUE))] == [0, 0]


def test_take_permit_lets_one_attempt_begin_and_tells_how_long_the_next_must_wait():
    first, second = take_permit(limited), take_permit(limited)

    assert first == 0
    assert 5 < second <= 10


def test_take_permit_that_is_refused_puts_nothing_off():
    take_permit(limited)
    before = control_of().next_start_at

    take_permit(limited)

    assert control_of().next_start_at == before


def test_take_permit_again_once_the_time_has_come():
    take_permit(limited)
    move_control_time("next_start_at", -0.001)

    assert take_permit(limited) == 0
    assert 5 < seconds_until("outbox_queue", "name", QUEUE, "next_start_at") <= 10


def test_take_permit_leaves_no_room_for_catching_up():
    take_permit(limited)
    move_control_time("next_start_at", -3600)

    assert take_permit(limited) == 0
    assert take_permit(limited) > 5


def test_take_permit_of_a_queue_that_was_only_measured_is_given():
    hold_back(waiting=[1, 0, 0, 0])

    assert take_permit(limited) == 0


def test_take_permit_limits_each_queue_on_its_own():
    take_permit(limited)

    assert take_permit(dataclasses.replace(limited, name="create_payment")) == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda: flow.pause(queue=QUEUE, user_id=None, reason=""), id="pause"),
        pytest.param(lambda: flow.resume(queue=QUEUE, user_id=None), id="resume"),
        pytest.param(lambda: flow.note_available(QUEUE, probe=True), id="available"),
    ],
)
def test_flow_wakes_the_relay_when_a_hold_changes(listening, change):
    change()

    assert listening() == 1


def test_note_available_of_another_attempt_than_the_probe_leaves_an_open_breaker_open():
    open_breaker(probe_in=5, failures=BREAKER_FAILURES, failed_probes=2)

    note_available(QUEUE, probe=False)

    control = control_of()
    assert (control.opened_at is None, control.failures, control.failed_probes) == (
        False,
        BREAKER_FAILURES,
        2,
    )


def test_note_available_of_any_attempt_forgets_the_failures_of_a_closed_breaker():
    hold_back(failures=BREAKER_FAILURES - 1, cause="refused")

    note_available(QUEUE, probe=False)

    assert (control_of().failures, control_of().cause) == (0, "")


def test_arm_probe_twice_arms_one():
    open_breaker(probe_in=-1)

    armed = [arm_probe(queue=QUEUE, row_id=row_id, seconds=15) for row_id in (1, 2)]

    assert (armed, control_of().probe_row_id) == ([True, False], 1)
