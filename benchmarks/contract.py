"""What an engine must be able to do to be measured; the measurements know nothing else of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from runtime.service import Service

# Workers of the one queue that is measured, the same for every engine.
WORKERS = 2


@dataclass(frozen=True)
class Record:
    """What the engine itself has stored about its rows.

    `succeeded` counts rows that ended well at their first attempt; `last_end_ns` is when the last
    of them ended, in nanoseconds since the epoch.
    """

    succeeded: int
    last_end_ns: int


class Engine(Protocol):
    """One engine in one configuration. `key` is a number that the handler notes (`starts.note`)."""

    @property
    def label(self) -> str:
        """Say which configuration this is."""

    def services(self) -> list[Service]:
        """Return the processes that work rows off: two workers and what they need."""

    def publish_many(self, keys: Sequence[int]) -> None:
        """Publish the rows at once, in one transaction if the engine has transactions."""

    def publish_one(self, key: int) -> None:
        """Publish one row and return when it is committed."""

    def record(self) -> Record:
        """Read what is stored about the rows published since the last `clear`."""

    def clear(self) -> None:
        """Forget all rows; nothing of the engine may be running."""
