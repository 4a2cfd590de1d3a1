"""Sending submissions in tests, and looking at what is left of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from applications.models import Application, ApplicationEvent, ApplicationFile, IdempotencyKey
from outbox.models import Outbox
from tests.applications.documents import PDF_HEAD

URL = "/applications"
STATEMENT = "I want to study mathematics."
BOUNDARY = "the-boundary"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"


def upload(
    content: bytes = PDF_HEAD, name: str = "transcript.pdf", declared: str = "application/pdf"
) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content, declared)


def submit(
    client: APIClient,
    *files: SimpleUploadedFile,
    statement: str | None = STATEMENT,
    key: str | None = None,
    headers: dict[str, str] | None = None,
    **fields: Any,
) -> Any:
    """Send a submission as a client does; `key` is the Idempotency-Key."""
    if statement is not None:
        fields["personalStatement"] = statement
    if files:
        fields["files"] = list(files)
    headers = dict(headers or {})
    if key is not None:
        headers["Idempotency-Key"] = key
    return client.post(URL, fields, format="multipart", headers=headers)


def text_part(name: str, value: str) -> bytes:
    return f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode()


def file_part(
    filename: str,
    content: bytes,
    *,
    field: str = "files",
    declared: str | None = "application/pdf",
) -> bytes:
    """Return a part whose headers are written as they are, so that odd ones can be sent."""
    head = f'Content-Disposition: form-data; name="{field}"; filename="{filename}"\r\n'
    if declared is not None:
        head += f"Content-Type: {declared}\r\n"
    return f"{head}\r\n".encode() + content


def body_of(parts: Iterable[bytes]) -> bytes:
    delimiter = f"--{BOUNDARY}\r\n".encode()
    return b"".join(delimiter + part + b"\r\n" for part in parts) + f"--{BOUNDARY}--\r\n".encode()


def submit_raw(
    client: APIClient, body: bytes, content_type: str = MULTIPART, **headers: str
) -> Any:
    # The stubs want a text; the bytes go out as they are.
    raw: Any = body
    return client.generic("POST", URL, raw, content_type=content_type, headers=headers)


def submit_parts(client: APIClient, *parts: bytes) -> Any:
    return submit_raw(client, body_of([text_part("personalStatement", STATEMENT), *parts]))


def stored_files(directory: Path) -> list[bytes]:
    """Return the content of every stored file, in order of content."""
    return sorted(path.read_bytes() for path in directory.rglob("*") if path.is_file())


def assert_nothing_is_left(storage_dir: Path) -> None:
    """A refused request has stored nothing and used up no key."""
    models = (Application, ApplicationFile, ApplicationEvent, Outbox, IdempotencyKey)
    assert {model.__name__: model.objects.count() for model in models} == {
        model.__name__: 0 for model in models
    }
    assert stored_files(storage_dir) == []


def assert_problem(response: Any, status: int, kind: str, **errors: str) -> None:
    """The answer is a problem document of this kind; `errors` are codes by pointer."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert {name: type(value) for name, value in body.items() if name != "errors"} == {
        "type": str,
        "title": str,
        "status": int,
        "detail": str,
        "instance": str,
        "requestId": str,
    }
    assert (body["type"], body["status"]) == (f"urn:sluice:problem:{kind}", status)
    assert body["instance"] == response.wsgi_request.path
    assert body["requestId"] == response["X-Request-ID"]
    assert codes(response) == errors


def codes(response: Any) -> dict[str, str]:
    """Return the error codes by their pointers, written with dots: "files.0"."""
    return {
        error["pointer"].removeprefix("/").replace("/", "."): error["code"]
        for error in response.json().get("errors", [])
    }
