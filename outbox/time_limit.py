"""The two clocks of an attempt: its own time limit, and the end of its stopping cluster."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from outbox.draining import is_draining
from outbox.exceptions import AttemptGivenBack, AttemptTimedOut

# A cluster that is told to stop lets its attempts run for this long, then gives their rows back.
# With the time to record it, it must end before the supervisor kills what is left.
DRAIN_SECONDS = 6.0
LOOK_SECONDS = 0.5

_was_cut_off = False


def was_cut_off() -> bool:
    """Tell whether the last attempt of this process ran out of time: it was stopped at an unknown
    line, so the process is not to be trusted any more."""
    return _was_cut_off


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `AttemptTimedOut` in the body once `seconds` have passed, and `AttemptGivenBack` once
    its cluster has been stopping for `DRAIN_SECONDS`.

    Works in the main thread only. django-q2 uses the same timer for its own, longer limit: what
    is left of that is set again afterwards.
    """
    global _was_cut_off
    _was_cut_off = False
    started = time.monotonic()
    draining_since: float | None = None

    def look(signum: int, frame: FrameType | None) -> None:
        global _was_cut_off
        nonlocal draining_since
        now = time.monotonic()
        if now - started >= seconds:
            _was_cut_off = True
            raise AttemptTimedOut(f"The attempt took longer than {seconds:g} s.")
        if is_draining():
            draining_since = now if draining_since is None else draining_since
            if now - draining_since >= DRAIN_SECONDS:
                raise AttemptGivenBack("The cluster was told to stop.")
        signal.setitimer(signal.ITIMER_REAL, min(LOOK_SECONDS, started + seconds - now))

    outer_handler = signal.signal(signal.SIGALRM, look)
    outer_left, _ = signal.setitimer(signal.ITIMER_REAL, min(LOOK_SECONDS, seconds))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, outer_handler)
        if outer_left:
            left = outer_left - (time.monotonic() - started)
            signal.setitimer(signal.ITIMER_REAL, max(left, 0.001))
