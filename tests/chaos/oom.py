"""Plays the kernel that kills a process which takes too much memory."""

from __future__ import annotations

import threading

import psutil

from tests.chaos.faulty.limits import KILLED_BYTES
from tests.chaos.world import World

LOOK_SECONDS = 0.2


class OomKiller:
    def __init__(self, world: World) -> None:
        self._world = world
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.killed = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            try:
                main = psutil.Process(self._world.system.pid_of("verify_document"))
                for process in main.children(recursive=True):
                    if process.memory_info().rss > KILLED_BYTES:
                        process.kill()
                        self.killed += 1
            except (psutil.Error, ValueError, OSError):
                continue  # being restarted
