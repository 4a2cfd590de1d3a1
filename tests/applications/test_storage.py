from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.core.files.storage import default_storage
from django.db import OperationalError, transaction
from django.test import RequestFactory

from applications import intake, storage
from applications.models import Application, IdempotencyKey
from applications.uploads import StagingUploadHandler
from tests.applications.documents import PDF_HEAD
from tests.applications.submissions import assert_problem, stored_files, submit, upload


def test_storage_keeps_files_to_this_user(storage_dir):
    with default_storage.open("name", "wb") as file:
        file.write(b"content")

    assert (storage_dir / "name").read_bytes() == b"content"
    assert stat.S_IMODE((storage_dir / "name").stat().st_mode) == 0o600
    assert stat.S_IMODE(storage_dir.stat().st_mode) == 0o700


def test_storage_never_writes_over_a_file(storage_dir):
    with default_storage.open("name", "wb") as file:
        file.write(b"first")

    with pytest.raises(FileExistsError):
        default_storage.open("name", "wb")
    assert (storage_dir / "name").read_bytes() == b"first"


def test_storage_syncs_content_and_name_before_it_is_done(storage_dir, monkeypatch):
    synced: list[str] = []

    def fsync(descriptor: int) -> None:
        synced.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        if synced[-1] == "file":
            assert (storage_dir / "name").read_bytes() == b"content"

    monkeypatch.setattr(storage.os, "fsync", fsync)
    file = default_storage.open("name", "wb")
    file.write(b"content")
    assert synced == ["directory"]

    file.close()
    file.close()

    assert synced == ["directory", "file"]


def handler() -> StagingUploadHandler:
    handler = StagingUploadHandler(RequestFactory().get("/"))
    handler.new_file("files", "a.pdf", "application/pdf", None)
    return handler


def test_upload_is_hashed_while_it_is_written(storage_dir):
    chunks = [b"%PDF-", b"", b"x" * 65_536, b"tail"]
    taking_in = handler()
    for chunk in chunks:
        assert taking_in.receive_data_chunk(chunk, 0) is None

    staged = taking_in.file_complete(sum(map(len, chunks)))

    content = b"".join(chunks)
    assert staged.sha256 == hashlib.sha256(content).hexdigest()
    assert staged.head == content[:16]
    assert (staged.size, staged.too_large) == (len(content), False)
    assert stored_files(storage_dir) == [content]


def test_upload_over_the_limit_stops_to_be_stored(storage_dir, settings):
    settings.MAX_FILE_BYTES = 10
    taking_in = handler()
    for _ in range(5):
        taking_in.receive_data_chunk(b"1234", 0)

    assert taking_in.file_complete(20).too_large is True
    assert stored_files(storage_dir) == [b"12341234"]


def test_upload_that_breaks_off_is_removed(storage_dir):
    taking_in = handler()
    taking_in.receive_data_chunk(b"%PDF-", 0)

    taking_in.upload_interrupted()
    taking_in.upload_interrupted()

    assert stored_files(storage_dir) == []


def test_upload_is_removed_at_the_end_of_the_request_unless_it_is_kept(storage_dir):
    kept, dropped, released = (handler().file_complete(0) for _ in range(3))
    kept.keep()
    released.keep()
    released.release()

    for staged in (kept, dropped, released):
        staged.close()
        staged.close()

    assert [path.name for path in storage_dir.iterdir()] == [kept.storage_name]


@pytest.mark.django_db(transaction=True)
def test_files_stay_when_nobody_knows_whether_the_commit_took_place(
    bearer, storage_dir, monkeypatch
):
    """The COMMIT was carried out and its answer lost: rows must not name files that are gone."""

    atomic = transaction.atomic

    @contextmanager
    def commit_and_break() -> Iterator[None]:
        monkeypatch.setattr(transaction, "atomic", atomic)
        with atomic():
            yield
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(transaction, "atomic", commit_and_break)
    bearer.raise_request_exception = False

    response = submit(bearer, upload(), key="k")

    assert_problem(response, 503, "database_unavailable")
    (file,) = Application.objects.get().files.all()
    assert (storage_dir / file.storage_name).read_bytes() == PDF_HEAD

    again = submit(bearer, upload(), key="k")
    assert (again.status_code, again["Idempotency-Replayed"]) == (202, "true")
    assert stored_files(storage_dir) == [PDF_HEAD]


@pytest.mark.django_db(transaction=True)
def test_files_go_when_the_transaction_is_known_to_be_rolled_back(bearer, storage_dir, monkeypatch):
    def broken(*args, **kwargs):
        raise RuntimeError("a bug")

    monkeypatch.setattr(intake, "publish_many", broken)
    bearer.raise_request_exception = False

    response = submit(bearer, upload(), key="k")

    assert response.status_code == 500
    assert (Application.objects.count(), IdempotencyKey.objects.count()) == (0, 0)
    assert stored_files(storage_dir) == []
