"""Lines for the person at the terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Console:
    """Prints whole lines and steps; a line said in the middle of a step gets a line of its own."""

    def __init__(self) -> None:
        self._step_open = False

    def say(self, text: str) -> None:
        self._write(f"\n{text}\n" if self._step_open else f"{text}\n")
        self._step_open = False

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Print `title ...`, then the seconds that the body took, or that it failed."""
        started = time.monotonic()
        self._write(f"{title} ... ")
        self._step_open = True
        try:
            yield
        except BaseException:
            self._end_step(title, "stopped")
            raise
        self._end_step(title, f"{time.monotonic() - started:.1f} s")

    def _end_step(self, title: str, result: str) -> None:
        self._write(f"{result}\n" if self._step_open else f"{title} ... {result}\n")
        self._step_open = False

    def _write(self, text: str) -> None:
        # A closed terminal or pipe (SIGHUP, `| head`) must not keep the system from stopping.
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except OSError:
            pass
