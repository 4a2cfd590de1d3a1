"""A PostgreSQL of our own: real, on 127.0.0.1, its data in the state directory."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from runtime import postgres_leftover
from runtime.exceptions import RuntimeProblem, ServerFailed
from runtime.files import write_private
from runtime.postgres_files import find_bin_dir, find_data_dir, place_data_dir
from runtime.service import Service
from runtime.system_user import SystemUser, server_user

NAME = "postgresql"
ROLE = DATABASE = "sluice"
# Fast shutdown; if that hangs, immediate shutdown, from which the next start recovers.
STOP_SIGNALS = ((signal.SIGINT, 4.0), (signal.SIGQUIT, 1.5))
# LC_ALL: without a valid locale macOS gives PostgreSQL a second thread, and it refuses to start.
ENV = {"LC_ALL": "C", "PATH": os.defpath}


class EmbeddedPostgres:
    """PostgreSQL in `directory`, listening on 127.0.0.1:`port` for the role `sluice`.

    `prepare()`, run `service()`, wait until `is_ready()`, then `create_database()`.
    As root it runs as an unprivileged user; see `runtime.postgres_files`.
    """

    def __init__(self, directory: Path, *, password: str, port: int) -> None:
        self._directory = directory
        self._password = password
        self._port = port
        directory.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            directory.chmod(0o711)  # made by us: PostgreSQL's user passes through
        self._user = server_user(find_data_dir(directory))
        self._bin_dir = find_bin_dir(self._user)
        self.data_dir = place_data_dir(directory, self._user)

    @property
    def url(self) -> str:
        return f"postgresql://{ROLE}:{self._password}@127.0.0.1:{self._port}/{DATABASE}"

    def prepare(self) -> None:
        """Make the data directory if there is none; stop what still runs on it."""
        if self.data_dir.exists():
            self._check_owner()
            postgres_leftover.stop(self.data_dir)
            return
        new = self.data_dir.with_name("data.new")  # a start that was interrupted left half of it
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        _give(new, self._user)
        with self._password_file() as password_file:
            self._initdb(new, password_file)
        new.rename(self.data_dir)

    def service(self) -> Service:
        """Return the server itself, in the foreground, with all its settings."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self._port,
            "unix_socket_directories": "",
            "max_connections": 200,
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        return Service(
            name=NAME,
            argv=(str(self._bin_dir / "postgres"), "-D", str(self.data_dir), *options),
            env=ENV,
            cwd=Path("/"),
            user=self._user,
            stop_signals=STOP_SIGNALS,
            stop_order=2,
        )

    def is_ready(self) -> bool:
        """Say whether it accepts connections. Raises `ServerFailed` if it refuses our password."""
        try:
            self._connect().close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise ServerFailed(
                    f"The password in secrets.json is not that of the data in {self.data_dir}."
                ) from error
            return False
        return True

    def create_database(self) -> None:
        """Create the database `sluice` unless it is there."""
        with self._connect() as connection:
            query = "SELECT FROM pg_database WHERE datname = %s"
            if connection.execute(query, [DATABASE]).fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host="127.0.0.1",
            port=self._port,
            user=ROLE,
            password=self._password,
            dbname="postgres",
            connect_timeout=2,
            autocommit=True,
        )

    def _check_owner(self) -> None:
        owner = self.data_dir.stat().st_uid
        if owner != (self._user.uid if self._user else os.geteuid()):
            raise RuntimeProblem(
                f"The data in {self.data_dir} belongs to another user (uid {owner}). "
                f"Start Sluice as that user (or as root), or choose another STATE_DIR."
            )

    def _initdb(self, data_dir: Path, password_file: Path) -> None:
        try:
            done = subprocess.run(  # noqa: S603 - our own program
                (
                    *(str(self._bin_dir / "initdb"), "--pgdata", str(data_dir)),
                    *("--username", ROLE, "--pwfile", str(password_file)),
                    *("--auth", "scram-sha-256", "--encoding", "UTF8"),
                    # PostgreSQL's own locale: the same on every system, and it knows all of Unicode.
                    *("--locale", "C", "--locale-provider", "builtin"),
                    *("--builtin-locale", "C.UTF-8"),
                ),
                env=ENV,
                cwd="/",
                capture_output=True,
                text=True,
                start_new_session=True,
                user=self._user.uid if self._user else None,
                group=self._user.gid if self._user else None,
                extra_groups=[] if self._user else None,
            )
        except OSError as error:
            raise ServerFailed(f"initdb cannot be started: {error}") from error
        if done.returncode != 0:
            raise ServerFailed(f"initdb failed:\n{done.stdout}{done.stderr}")

    @contextmanager
    def _password_file(self) -> Iterator[Path]:
        path = self.data_dir.with_name("password.new")
        write_private(path, self._password)
        _give(path, self._user)
        try:
            yield path
        finally:
            path.unlink()


def _give(path: Path, user: SystemUser | None) -> None:
    if user:
        os.chown(path, user.uid, user.gid)
