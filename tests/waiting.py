"""Waiting for something to become true, with a deadline instead of a fixed sleep."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 10.0  # seconds; nothing is expected to take as long


def wait_until(condition: Callable[[], bool], *, within: float = PATIENCE) -> None:
    """Return once the condition holds; fail after `within` seconds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
