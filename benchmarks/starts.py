"""The file where every start of a no-op handler leaves a line: which row, and when.

All engines write it the same way, so that start times are comparable and a row that ran twice or
not at all is seen. A line costs its worker a few microseconds.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

LINE = b"%010d %020d\n"  # of a fixed length, so that the size of the file says how many there are
LINE_BYTES = len(LINE % (0, 0))


@dataclass(frozen=True)
class Start:
    """One start of a handler; `at_ns` is nanoseconds since the epoch."""

    key: int
    at_ns: int


def note(key: int) -> None:
    """Append a line for the row `key`; the kernel keeps lines of several processes apart."""
    at_ns = time.time_ns()
    os.write(_descriptor(), LINE % (key, at_ns))


def clear() -> None:
    os.ftruncate(_descriptor(), 0)


def count() -> int:
    return os.fstat(_descriptor()).st_size // LINE_BYTES


def read() -> list[Start]:
    """Return all starts in the order in which they were written."""
    lines = (line.split() for line in _path().read_bytes().splitlines())
    return [Start(int(key), int(at_ns)) for key, at_ns in lines]


def _path() -> Path:
    return Path(os.environ["STATE_DIR"]) / "handler-starts"


@cache
def _descriptor() -> int:
    return os.open(_path(), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
