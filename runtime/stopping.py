"""A request to stop, by Ctrl-C, SIGTERM or SIGHUP, that never interrupts the wrong line."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
POLL_SECONDS = 0.05


class Stopped(KeyboardInterrupt):
    """Raised where a stop was asked for; a `KeyboardInterrupt` because nobody may swallow it."""


class StopRequest:
    """Set by the first signal; every later one changes nothing, so that stopping runs to its end.

    Between the start of a process and the note about it an exception would leave the process
    behind. So a signal only sets a flag, except inside `interruptible()`.
    """

    def __init__(self) -> None:
        self.requested = False
        self._may_raise = False

    def install(self) -> None:
        for signum in SIGNALS:
            signal.signal(signum, self._handle)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        first, self.requested = not self.requested, True
        if first and self._may_raise:
            raise Stopped

    def check(self) -> None:
        """Raise `Stopped` if a stop was asked for."""
        if self.requested:
            raise Stopped

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let a signal raise `Stopped` in the body, which must not start processes of ours."""
        self._may_raise = True
        try:
            self.check()
            yield
        finally:
            self._may_raise = False

    def wait_for(self, condition: Callable[[], bool], *, seconds: float) -> bool:
        """Poll until `condition` holds; False after `seconds`; raise `Stopped` on a stop."""
        deadline = time.monotonic() + seconds
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True
