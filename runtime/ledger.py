"""The list of running processes on disk, for the supervisor that follows a killed one."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from runtime.files import write_private
from runtime.processes import GroupStop, ProcessGroup, ProcessId
from runtime.service import Child

POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Entry:
    """One running service: enough to find its group again and to stop it properly."""

    name: str
    group: ProcessGroup
    stop_signals: tuple[tuple[signal.Signals, float], ...]
    stop_order: int


class Ledger:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = ""

    def write(self, children: Iterable[Child]) -> None:
        """Record every child that has a process group. Atomic; nothing is done without change."""
        text = json.dumps([_to_json(child) for child in children if child.group], indent=1)
        if text != self._written:
            write_private(self._path, text)
            self._written = text

    def stop_leftovers(self, say: Callable[[str], None]) -> None:
        """Stop what a killed supervisor left, in the order and with the patience of `stop()`."""
        entries = [entry for entry in self._read() if entry.group.is_ours()]
        for order in sorted({entry.stop_order for entry in entries}):
            together = [entry for entry in entries if entry.stop_order == order]
            say(f"Stopping what a killed Sluice left running: {_names(together)}")
            stops = [
                GroupStop(entry.group, entry.stop_signals, time.monotonic()) for entry in together
            ]
            while stops:
                stops = [stop for stop in stops if not stop.advance(time.monotonic())]
                time.sleep(POLL_SECONDS)
        self._path.unlink(missing_ok=True)

    def _read(self) -> list[Entry]:
        if not self._path.exists():
            return []
        return [
            Entry(
                name=entry["name"],
                group=ProcessGroup(
                    ProcessId(entry["pid"], entry["create_time"]),
                    [ProcessId(*member) for member in entry["members"]],
                ),
                stop_signals=tuple((signal.Signals(s), wait) for s, wait in entry["stop"]),
                stop_order=entry["stop_order"],
            )
            for entry in json.loads(self._path.read_text())
        ]


def _to_json(child: Child) -> dict[str, object]:
    assert child.group  # noqa: S101 - only children with a group are recorded
    leader = child.group.leader
    return {
        "name": child.service.name,
        "pid": leader.pid,
        "create_time": leader.create_time,
        "members": sorted([member.pid, member.create_time] for member in child.group.known),
        "stop": [[int(signum), seconds] for signum, seconds in child.service.stop_signals],
        "stop_order": child.service.stop_order,
    }


def _names(entries: Iterable[Entry]) -> str:
    return ", ".join(entry.name for entry in entries)
