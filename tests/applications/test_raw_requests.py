"""What only a real server shows: bodies that never come, break off, or are of another length."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connections
from rest_framework_simplejwt.tokens import AccessToken

from accounts.models import User
from applications.models import Application
from runtime.ports import free_port
from tests.applications.documents import PDF_HEAD
from tests.applications.submissions import (
    MULTIPART,
    STATEMENT,
    body_of,
    file_part,
    stored_files,
    text_part,
)
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

COMMAND = ["gunicorn", "config.wsgi:application", "--worker-class", "gthread"]
BODY = body_of(
    [text_part("personalStatement", STATEMENT), file_part("a.pdf", PDF_HEAD + b"x" * 200_000)]
)


@dataclass(frozen=True)
class Server:
    port: int
    files: Path

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def is_up(self) -> bool:
        try:
            self.connect().close()
        except ConnectionRefusedError:
            return False
        return True


@pytest.fixture(scope="module")
def server(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The web server as it is run, on the database of the tests."""
    state_dir = tmp_path_factory.mktemp("state")
    (state_dir / "static").mkdir()
    # The name is that of the test database; the rest is in the URL already.
    database = connections["default"].settings_dict["NAME"]
    url = os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{database}"
    environment = {
        "DATABASE_URL": url,
        "STATE_DIR": str(state_dir),
        "SECRET_KEY": settings.SECRET_KEY,
    }
    server = Server(port=free_port(), files=state_dir / "files")
    process = subprocess.Popen(
        [sys.executable, "-m", *COMMAND, "--bind", f"127.0.0.1:{server.port}"],
        env=os.environ | environment,
        cwd=settings.BASE_DIR,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(server.is_up, within=30)
        yield server
    finally:
        process.terminate()
        process.wait(PATIENCE)


def head(student: User | None, *, length: int | None, **headers: str) -> bytes:
    """The head of a submission; `length` is what it says about its body."""
    lines = ["POST /applications HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {MULTIPART}"]
    if student is not None:
        lines.append(f"Authorization: Bearer {AccessToken.for_user(student)}")
    if length is not None:
        lines.append(f"Content-Length: {length}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def answer(client: socket.socket) -> tuple[int, str]:
    """Return status and type of the answer, read up to the end of its head."""
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = client.recv(4096)
        assert chunk, received
        received += chunk
    status, *lines = received.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return int(status.split()[1]), headers["Content-Type"]


PROBLEM = "application/problem+json"


def test_a_complete_request_is_accepted(server: Server, student: User) -> None:
    with server.connect() as client:
        client.sendall(head(student, length=len(BODY)) + BODY)
        assert answer(client) == (202, "application/json")

    (file,) = Application.objects.get().files.all()
    assert stored_files(server.files) == [PDF_HEAD + b"x" * 200_000]
    (server.files / file.storage_name).unlink()


def test_the_body_of_a_stranger_is_not_waited_for(server: Server) -> None:
    with server.connect() as client:
        client.sendall(head(None, length=len(BODY)))
        assert answer(client) == (401, PROBLEM)


def test_the_body_of_a_session_without_csrf_token_is_not_waited_for(
    server: Server, student: User, client
) -> None:
    """Django itself would look for the token in the form, and so read the body."""
    client.force_login(student)
    client.get("/apply")
    cookie = "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())
    with server.connect() as connection:
        connection.sendall(head(None, length=len(BODY), Cookie=cookie))
        assert answer(connection) == (403, PROBLEM)


def test_a_body_that_says_it_is_too_long_is_not_waited_for(server: Server, student: User) -> None:
    with server.connect() as client:
        client.sendall(head(student, length=10**12))
        assert answer(client) == (413, PROBLEM)


def test_a_body_with_a_bad_key_is_not_waited_for(server: Server, student: User) -> None:
    with server.connect() as client:
        client.sendall(head(student, length=len(BODY), Idempotency_Key='""'))
        assert answer(client) == (400, PROBLEM)


@pytest.mark.parametrize("part", [0.01, 0.5, 0.9999])
def test_a_client_that_breaks_off_leaves_nothing(
    server: Server, student: User, part: float
) -> None:
    with server.connect() as client:
        client.sendall(head(student, length=len(BODY)) + BODY[: int(len(BODY) * part)])
        client.shutdown(socket.SHUT_WR)
        assert answer(client) == (400, PROBLEM)

    assert Application.objects.count() == 0
    wait_until(lambda: stored_files(server.files) == [])


def test_a_client_that_vanishes_leaves_nothing(server: Server, student: User) -> None:
    with server.connect() as client:
        client.sendall(head(student, length=len(BODY)) + BODY[:150_000])
        wait_until(lambda: len(stored_files(server.files)) == 1)

    wait_until(lambda: stored_files(server.files) == [])
    assert Application.objects.count() == 0


def test_a_body_that_is_longer_than_it_says_is_not_read_on(server: Server, student: User) -> None:
    with server.connect() as client:
        client.sendall(head(student, length=100) + BODY)
        assert answer(client) == (400, PROBLEM)

    assert Application.objects.count() == 0
    wait_until(lambda: stored_files(server.files) == [])


def test_a_body_that_is_sent_in_chunks_is_not_taken_for_an_empty_one(
    server: Server, student: User
) -> None:
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
    with server.connect() as client:
        client.sendall(head(student, length=None, Transfer_Encoding="chunked") + chunked)
        assert answer(client) == (411, PROBLEM)
