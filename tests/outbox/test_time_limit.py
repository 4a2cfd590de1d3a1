from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator

import pytest

from outbox import time_limit as module
from outbox.delivery import deliver
from outbox.exceptions import AttemptGivenBack, AttemptTimedOut
from outbox.models import Attempt, Outbox, Outcome
from outbox.registry import handler
from outbox.time_limit import time_limit
from tests.outbox.rows import leased_row, outcomes, pending_row, seconds_put_off, state_of

# An attempt that was cut off closes its connections, and with them the transaction of a test.
cut_off = pytest.mark.django_db(transaction=True)


@pytest.fixture
def outer_alarm() -> Iterator[list[int]]:
    """A longer time limit around the test, as django-q2 sets one; the list notes its signals."""
    rung: list[int] = []
    former = signal.signal(signal.SIGALRM, lambda signum, frame: rung.append(signum))
    signal.setitimer(signal.ITIMER_REAL, 60)
    yield rung
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, former)


@pytest.fixture
def short_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopping cluster gives its rows back at once."""
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(module, "DRAIN_SECONDS", 0.02)


def hang() -> None:
    """Wait for an event that never comes; gives up long after any attempt."""
    threading.Event().wait(30)


def test_time_limit_cuts_off_what_takes_too_long():
    with pytest.raises(AttemptTimedOut, match="longer than 0.05 s"), time_limit(0.05):
        hang()


def test_time_limit_looks_more_than_once(monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)

    with pytest.raises(AttemptTimedOut), time_limit(0.05):
        hang()


def test_time_limit_gives_the_row_back_once_the_cluster_has_been_stopping_for_a_while(
    stop_cluster, short_drain
):
    stop_cluster()

    with pytest.raises(AttemptGivenBack), time_limit(30):
        hang()


def test_time_limit_lets_an_attempt_of_a_stopping_cluster_run_on_at_first(monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.001)
    looks = 0

    def counted() -> bool:
        nonlocal looks
        looks += 1
        return True

    monkeypatch.setattr(module, "is_draining", counted)
    with time_limit(30):
        while looks < 5:  # ends: DRAIN_SECONDS are much longer than five looks
            pass

    assert looks >= 5


def test_time_limit_of_the_attempt_comes_before_the_end_of_the_cluster(stop_cluster, monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    stop_cluster()

    with pytest.raises(AttemptTimedOut), time_limit(0.05):
        hang()


def test_time_limit_that_used_up_the_outer_limit_lets_it_ring(outer_alarm):
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    with time_limit(30):
        wait_until = time.monotonic() + 0.01
        while time.monotonic() < wait_until:
            pass

    deadline = time.monotonic() + 5
    while not outer_alarm and time.monotonic() < deadline:
        pass

    assert outer_alarm == [signal.SIGALRM]


def test_time_limit_leaves_no_timer_behind():
    with time_limit(30):
        pass

    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@cut_off
@pytest.mark.parametrize("hangs", [False, True])
def test_deliver_gives_the_outer_time_limit_its_timer_back(
    handlers, short_attempts, outer_alarm, hangs: bool
):
    outer = signal.getsignal(signal.SIGALRM)

    @handler("thing_happened", queue="send_email")
    def work(message):
        if hangs:
            hang()

    deliver(leased_row()[1])

    left, _ = signal.getitimer(signal.ITIMER_REAL)
    assert 0 < left < 60
    assert (signal.getsignal(signal.SIGALRM), outer_alarm) == (outer, [])


@cut_off
def test_deliver_cuts_off_a_handler_that_catches_every_exception(handlers, short_attempts):
    @handler("thing_happened", queue="send_email")
    def work(message):
        try:
            hang()
        except Exception:
            return

    row, lease = leased_row()

    outcome, next_lease = deliver(lease, lambda: pytest.fail("was asked for another row"))

    assert (outcome, next_lease, state_of(row)) == (Outcome.TIMED_OUT, None, "pending")
    assert outcomes(row) == [(1, "timed_out")]
    attempt = Attempt.objects.get()
    assert attempt.error_class == "AttemptTimedOut"
    assert "in hang" in attempt.traceback
    assert seconds_put_off(row) > 0.4


@cut_off
def test_deliver_rolls_back_a_start_that_takes_too_long(handlers, short_attempts):
    def start(message):
        pending_row(handler="started")
        hang()

    @handler("thing_happened", queue="send_email", start=start)
    def work(message): ...

    row, lease = leased_row()

    assert deliver(lease) == (Outcome.TIMED_OUT, None)
    assert not Outbox.objects.filter(handler="started").exists()
    assert (state_of(row), outcomes(row)) == ("pending", [(1, "timed_out")])


@cut_off
def test_deliver_makes_a_dead_letter_when_the_last_attempt_takes_too_long(handlers, short_attempts):
    died = []

    @handler("thing_happened", queue="send_email", on_dead=died.append)
    def work(message):
        hang()

    row, lease = leased_row(max_attempts=1)

    deliver(lease)

    row.refresh_from_db()
    assert (row.state, row.dead_reason, len(died)) == ("dead", "exhausted", 1)


@cut_off
def test_deliver_in_a_stopping_cluster_gives_its_row_back(handlers, stop_cluster, short_drain):
    @handler("thing_happened", queue="send_email")
    def work(message):
        stop_cluster()
        hang()

    row, lease = leased_row(max_attempts=1)

    assert deliver(lease) == (Outcome.GIVEN_BACK, None)
    row.refresh_from_db()
    assert (row.state, row.attempt_count, row.max_attempts) == ("pending", 1, 2)
    assert outcomes(row) == [(1, "given_back")]
    assert list(Outbox.objects.due()) == [row]
