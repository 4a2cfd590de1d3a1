from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from runtime.stopping import SIGNALS, Stopped, StopRequest


@pytest.fixture
def stop() -> Iterator[StopRequest]:
    former = {signum: signal.getsignal(signum) for signum in SIGNALS}
    stop = StopRequest()
    stop.install()
    yield stop
    for signum, handler in former.items():
        signal.signal(signum, handler)


@pytest.mark.parametrize("signum", SIGNALS)
def test_signal_only_sets_the_flag(stop: StopRequest, signum: signal.Signals) -> None:
    os.kill(os.getpid(), signum)

    assert stop.requested
    with pytest.raises(Stopped):
        stop.check()


def test_signal_raises_where_it_may(stop: StopRequest) -> None:
    with pytest.raises(Stopped), stop.interruptible():
        os.kill(os.getpid(), signal.SIGTERM)

    os.kill(os.getpid(), signal.SIGINT)  # the second one changes nothing
    assert stop.requested


def test_interruptible_does_not_begin_after_a_stop(stop: StopRequest) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    begun = False

    with pytest.raises(Stopped), stop.interruptible():
        begun = True

    assert not begun


def test_wait_for_says_whether_it_came_true(stop: StopRequest) -> None:
    assert stop.wait_for(lambda: True, seconds=0)
    assert not stop.wait_for(lambda: False, seconds=0)


def test_wait_for_ends_at_a_stop(stop: StopRequest) -> None:
    def condition() -> bool:
        os.kill(os.getpid(), signal.SIGHUP)
        return False

    with pytest.raises(Stopped):
        stop.wait_for(condition, seconds=60)
