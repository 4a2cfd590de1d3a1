"""Taking in uploaded files: streamed to the private storage while their SHA-256 is taken."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler

HEAD_BYTES = 16


class StagedFile(UploadedFile):  # type: ignore[type-arg] # not generic at run time
    """A file that is in the private storage already, under a random name.

    It is removed when the request ends, unless `keep` was called. `head` are its first bytes.
    `too_large` says that it went over the limit: then only a part of it was stored.
    """

    def __init__(
        self,
        *,
        storage_name: str,
        name: str | None,
        content_type: str,
        size: int,
        sha256: str,
        head: bytes,
        too_large: bool,
    ) -> None:
        super().__init__(None, name, content_type, size)
        self.storage_name = storage_name
        self.sha256 = sha256
        self.head = head
        self.too_large = too_large
        self._kept = False

    def keep(self) -> None:
        """From now on a row may name the file, so the end of the request leaves it alone."""
        self._kept = True

    def release(self) -> None:
        """No row can name the file (any more): the end of the request removes it."""
        self._kept = False

    def close(self) -> None:
        """Called by Django at the end of the request."""
        if not self._kept:
            default_storage.delete(self.storage_name)


class StagingUploadHandler(FileUploadHandler):
    """Writes each chunk to the storage as it arrives; a file is never in memory whole."""

    def __init__(self, request: Any = None) -> None:
        super().__init__(request)
        self._writing: File[bytes] | None = None

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self._storage_name = uuid.uuid4().hex
        self._writing = default_storage.open(self._storage_name, "wb")
        self._digest = hashlib.sha256()
        self._head = b""
        self._size = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self._size += len(raw_data)
        if self._writing is None or self._size > settings.MAX_FILE_BYTES:
            return  # the rest is read, so that the client gets its answer, but not kept
        if len(self._head) < HEAD_BYTES:
            self._head = (self._head + raw_data)[:HEAD_BYTES]
        self._digest.update(raw_data)
        self._writing.write(raw_data)

    def file_complete(self, file_size: int) -> StagedFile:
        self._close()
        return StagedFile(
            storage_name=self._storage_name,
            name=self.file_name,
            content_type=self.content_type or "",
            size=file_size,
            sha256=self._digest.hexdigest(),
            head=self._head,
            too_large=file_size > settings.MAX_FILE_BYTES,
        )

    def upload_interrupted(self) -> None:
        """Remove the file whose upload broke off; the finished ones are closed by Django."""
        if self._writing is not None:
            self._close()
            default_storage.delete(self._storage_name)

    def _close(self) -> None:
        if self._writing is not None:
            self._writing.close()
        self._writing = None
