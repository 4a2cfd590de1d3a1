"""A real clamd for tests, and servers that behave as a clamd does when something is wrong."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest

from runtime.ports import free_port
from tests.waiting import wait_until

# The EICAR test file. In one piece it would make virus scanners remove this file.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-" + b"ANTIVIRUS-TEST-FILE!$H+H*"
SIGNATURE = "Eicar-Test.UNOFFICIAL"  # how clamd names a finding by a database of one's own
LOAD_SECONDS = 30.0  # before a test gives up; usually it is less than one
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Clamd:
    """A running clamd: its address over TCP, the path of its unix socket, and what stops it."""

    address: str
    socket_path: str
    stop: Callable[[], None]


@contextmanager
def running_clamd(**options: str) -> Iterator[Clamd]:
    """Run a clamd that knows EICAR alone; `options` are lines of its clamd.conf.

    Without clamd the test is skipped, in CI it fails.
    """
    program = _program()
    # Not pytest's folder: the path of a unix socket may have only about 100 characters.
    with tempfile.TemporaryDirectory(prefix="sluice-clamd-") as name:
        folder = Path(name)
        port = free_port()
        config = _write_config(folder, port, options)
        with (folder / "output.txt").open("wb") as output:
            process = subprocess.Popen(
                [program, "--config-file", config], stdout=output, stderr=subprocess.STDOUT
            )

        def stop() -> None:
            process.terminate()
            process.wait(STOP_SECONDS)

        try:
            wait_until(lambda: _is_listening(process, port, folder), within=LOAD_SECONDS)
            yield Clamd(f"127.0.0.1:{port}", str(folder / "clamd.sock"), stop)
        finally:
            stop()


def _program() -> str:
    path = shutil.which("clamd") or shutil.which("clamd", path="/usr/sbin:/usr/local/sbin")
    if path is not None:
        return path
    reason = "There is no clamd, so nothing was scanned: apt install clamav-daemon"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _write_config(folder: Path, port: int, options: dict[str, str]) -> Path:
    database = folder / "database"
    database.mkdir()
    name = SIGNATURE.removesuffix(".UNOFFICIAL")
    (database / "test.ndb").write_text(f"{name}:0:*:{EICAR.hex()}\n")
    lines = {
        "Foreground": "yes",
        "DatabaseDirectory": str(database),
        "TCPSocket": str(port),
        "TCPAddr": "127.0.0.1",
        "LocalSocket": str(folder / "clamd.sock"),
        "TemporaryDirectory": str(folder),
    } | options
    if os.geteuid() == 0:
        lines["User"] = "root"  # otherwise it becomes a user who may not read the folder
    config = folder / "clamd.conf"
    config.write_text("".join(f"{key} {value}\n" for key, value in lines.items()))
    return config


def _is_listening(process: subprocess.Popen[bytes], port: int, folder: Path) -> bool:
    assert process.poll() is None, (folder / "output.txt").read_text()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except ConnectionRefusedError:
        return False


def zipped(content: bytes) -> bytes:
    """Return a ZIP archive of one file."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("document.txt", content)
    return archive.getvalue()


@contextmanager
def serving(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Run a server that does with each connection what `serve` says, then closes it."""

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # the client had enough
                serve(self.request)

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def listen_for_ever(connection: socket.socket) -> None:
    while connection.recv(65_536):
        pass


def hang_up(connection: socket.socket) -> None:
    pass


def answering(answer: bytes) -> Callable[[socket.socket], None]:
    """Read a stream of one chunk to its end, then answer."""

    def serve(connection: socket.socket) -> None:
        received = b""
        while not received.endswith(b"\0\0\0\0"):
            piece = connection.recv(65_536)
            if not piece:
                return
            received += piece
        connection.sendall(answer)

    return serve


def answering_at_once(answer: bytes) -> Callable[[socket.socket], None]:
    """Answer without having read anything."""

    def serve(connection: socket.socket) -> None:
        connection.sendall(answer)

    return serve
