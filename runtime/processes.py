"""Processes and process groups that are certainly ours, however old the note about them is."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import psutil

# psutil derives the time from the boot time, which moves a little when the clock is set.
CREATE_TIME_TOLERANCE_SECONDS = 2.0
# A process that SIGKILL does not end hangs in the kernel; waiting longer changes nothing.
UNKILLABLE_SECONDS = 2.0

StopSignals = Sequence[tuple[signal.Signals, float]]
"""Signals for the main process, each with the seconds it has before the next one."""


@dataclass(frozen=True)
class ProcessId:
    """A pid with its creation time: a pid alone may have been given to someone else by now."""

    pid: int
    create_time: float

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        return cls(pid, psutil.Process(pid).create_time())

    def lives(self) -> bool:
        try:
            process = psutil.Process(self.pid)
            age_difference = abs(process.create_time() - self.create_time)
            return (
                age_difference <= CREATE_TIME_TOLERANCE_SECONDS
                and process.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.NoSuchProcess:
            return False


class ProcessGroup:
    """A service's main process, leader of its own session, and all that it has started there.

    The group outlives its leader: django-q2's workers go on when the cluster's main process
    is killed. `known` are members seen before; they prove that the group is still ours.
    """

    def __init__(self, leader: ProcessId, known: Iterable[ProcessId] = ()) -> None:
        self.leader = leader
        self.known = frozenset(known)

    def is_ours(self) -> bool:
        return any(process.lives() for process in {self.leader, *self.known})

    def members(self) -> frozenset[ProcessId]:
        """Return every living process of the group, the leader included."""
        found = (_member(pid, self.leader.pid) for pid in psutil.pids())
        return frozenset(process for process in found if process is not None)

    def signal_leader(self, signum: signal.Signals) -> None:
        if self.leader.lives():
            _send(os.kill, self.leader.pid, signum)

    def kill(self) -> None:
        """SIGKILL the whole group; the caller knows that it `is_ours` or has just died."""
        _send(os.killpg, self.leader.pid, signal.SIGKILL)


class GroupStop:
    """The way of one group to its end: each signal in turn, then SIGKILL for all that is left."""

    def __init__(self, group: ProcessGroup, signals: StopSignals, now: float) -> None:
        self.group = group
        self.killed = False
        self._signals = list(signals)
        self._next_step_at = now
        self._give_up_at: float | None = None

    def advance(self, now: float) -> bool:
        """Do what is due at `now` (monotonic seconds); return True once nothing is left of it."""
        if self._give_up_at is not None:
            return not self.group.members() or now >= self._give_up_at
        if not self.group.leader.lives():
            return self._kill(now)
        if now >= self._next_step_at:
            if not self._signals:
                self.killed = True
                return self._kill(now)
            signum, seconds = self._signals.pop(0)
            self.group.signal_leader(signum)
            self._next_step_at = now + seconds
        return False

    def _kill(self, now: float) -> bool:
        self.group.kill()
        self._give_up_at = now + UNKILLABLE_SECONDS
        return not self.group.members()


def _member(pid: int, group_id: int) -> ProcessId | None:
    try:
        if os.getpgid(pid) != group_id:
            return None
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return ProcessId(pid, process.create_time())
    except (ProcessLookupError, PermissionError, psutil.Error):
        return None  # ended meanwhile, or never ours


def _send(kill: Callable[[int, int], None], pid: int, signum: signal.Signals) -> None:
    try:
        kill(pid, signum)
    except (ProcessLookupError, PermissionError):
        pass  # gone meanwhile; macOS says "not permitted" for a group of zombies
