"""Keeps services running and stops all of them in bounded time, with everything they started."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from runtime.ledger import Ledger
from runtime.service import Child, Service
from runtime.stopping import StopRequest

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.2
STOP_POLL_SECONDS = 0.05
FIRST_BACKOFF_SECONDS = 0.1
LONGEST_BACKOFF_SECONDS = 5.0
HEALTHY_SECONDS = 30.0
RECORD_SECONDS = 5.0
WATCHDOG_SECONDS = 2.0

Watchdog = Callable[["Supervisor"], None]


class Supervisor:
    """Runs `Service`s. `tick()` does what is due now and never waits; `run()` only loops.

    `directory` gets `processes.json` (for the next supervisor, if this one is killed) and
    `logs/<service>.log`. `say` gets one line for each thing that happens.
    """

    def __init__(
        self,
        directory: Path,
        *,
        say: Callable[[str], None],
        watchdogs: Sequence[Watchdog] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logs = directory / "logs"
        self._logs.mkdir(mode=0o700, exist_ok=True)
        self._ledger = Ledger(directory / "processes.json")
        self._say = say
        self.watchdogs = watchdogs
        self._clock = clock
        self._children: dict[str, Child] = {}
        self._restarts: dict[str, str] = {}  # why, by name
        self._record_at = 0.0
        self._stopping = threading.Event()

    @property
    def names(self) -> list[str]:
        return list(self._children)

    def pid(self, name: str) -> int | None:
        """Return the pid of the service's main process; it may have died since the last tick."""
        return self._children[name].pid

    def is_alive(self, name: str) -> bool:
        return self._children[name].is_alive()

    def seconds_running(self, name: str) -> float:
        """Return how long the service has been running; 0 if it is down or being stopped."""
        child = self._children[name]
        running = child.is_alive() and not child.stop and name not in self._restarts
        return self._clock() - child.started_at if running else 0.0

    def log(self, name: str) -> Path:
        return self._children[name].log

    def start(self, service: Service) -> None:
        """Start a service and keep it running. Raises OSError if it cannot be started at all."""
        child = Child(service, self._logs / f"{service.name}.log")
        child.start(self._clock())
        self._children[service.name] = child
        self._ledger.write(self._children.values())

    def restart(self, name: str, *, reason: str) -> None:
        """Ask for a service that hangs to be killed and started again; the next ticks do it.

        It is not asked to stop first: it would not, and what it held comes back by itself. May be
        called from a watchdog, which runs in another thread.
        """
        if name not in self._children:
            raise KeyError(name)
        self._restarts[name] = reason

    def tick(self) -> None:
        now = self._clock()
        for name in list(self._restarts):
            self._begin_restart(self._children[name], self._restarts.pop(name), now)
        for child in self._children.values():
            self._look_after(child, now)
        if now >= self._record_at:
            self._record(now)

    def run(self, stop: StopRequest) -> None:
        """Tick until a stop is asked for. Watchdogs run beside it: one that hangs holds up nothing."""
        if self.watchdogs:
            threading.Thread(target=self._watch, name="watchdogs", daemon=True).start()
        while not stop.requested:
            self.tick()
            time.sleep(TICK_SECONDS)

    def stop(self) -> None:
        """Stop everything, all services of one `stop_order` at the same time.

        Takes no longer than the sum over the orders of the longest `stop_signals` in each,
        plus the moment that SIGKILL needs.
        """
        self._stopping.set()
        for order in sorted({child.service.stop_order for child in self._children.values()}):
            self._stop_together(
                [c for c in self._children.values() if c.service.stop_order == order]
            )
        self._ledger.write(self._children.values())

    def call_watchdogs(self) -> None:
        for watchdog in self.watchdogs:
            try:
                watchdog(self)
            except Exception:
                # A watchdog asks a database that may be down; that is no reason to stop watching.
                logger.exception("watchdog failed")

    def _watch(self) -> None:
        while not self._stopping.wait(WATCHDOG_SECONDS):
            self.call_watchdogs()

    def _look_after(self, child: Child, now: float) -> None:
        if child.stop:
            if child.advance_stop(now):
                self._start_again(child, now)
        elif child.is_alive():
            if now - child.started_at >= HEALTHY_SECONDS:
                child.failures = 0
        elif child.start_at is None:
            self._note_death(child, now)
        elif now >= child.start_at:
            self._start_again(child, now)

    def _begin_restart(self, child: Child, reason: str, now: float) -> None:
        if child.is_alive() and not child.stop:
            self._say(f"Restarting {child.service.name}: {reason}")
            child.begin_stop(now, at_once=True)

    def _note_death(self, child: Child, now: float) -> None:
        if child.group:
            child.group.kill()
        wait = backoff(child.failures)
        child.failures += 1
        child.start_at = now + wait
        self._say(
            f"{child.service.name} ended ({child.ending()}); "
            f"starting it again in {wait:.1f} s (log: {child.log})"
        )

    def _start_again(self, child: Child, now: float) -> None:
        if child.group and child.group.members():
            child.group.kill()  # never two of the same; the next tick looks again
            return
        try:
            child.start(now)
        except OSError as error:
            child.stop, child.start_at = None, now + LONGEST_BACKOFF_SECONDS
            self._say(f"{child.service.name} cannot be started: {error}")
        self._ledger.write(self._children.values())

    def _record(self, now: float) -> None:
        """Note the members of each group: they show whose it is when its leader has died."""
        for child in self._children.values():
            if child.group:
                child.group.known = child.group.members()
        self._ledger.write(self._children.values())
        self._record_at = now + RECORD_SECONDS

    def _stop_together(self, children: list[Child]) -> None:
        started = self._clock()
        for child in children:
            child.begin_stop(started)
        left = children
        while left:
            left = [child for child in left if not self._is_stopped(child, started)]
            time.sleep(STOP_POLL_SECONDS if left else 0)

    def _is_stopped(self, child: Child, started: float) -> bool:
        now = self._clock()
        if not child.advance_stop(now):
            return False
        how = "killed" if child.stop and child.stop.killed else "stopped"
        self._say(f"{child.service.name} {how} after {now - started:.1f} s")
        child.group = None
        return True


def backoff(failures: int) -> float:
    """Return the seconds to wait before a start that follows so many failed ones."""
    return float(min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2 ** min(failures, 10)))
