"""Where documents are kept: outside of everything that the web server serves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.core.files import File
from django.core.files.storage import FileSystemStorage


class SyncedFile(File):  # type: ignore[type-arg] # not generic at run time
    """A file opened for writing that is on the disk once it is closed."""

    def close(self) -> None:
        if self.file is None or self.closed:
            return
        self.file.flush()
        os.fsync(self.file.fileno())
        super().close()


class DurableFileSystemStorage(FileSystemStorage):
    """Files opened for writing ("wb") are new, private to this user, and durable when closed.

    A row that names a file may be committed right after: neither a crash of the machine nor one of
    the process can then lose the file.
    """

    def _open(self, name: str, mode: str = "rb") -> File[Any]:
        if mode != "wb":
            return super()._open(name, mode)  # type: ignore[misc,no-any-return] # not in the stubs
        path = Path(self.path(name))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        _sync_directory(path.parent)
        return SyncedFile(os.fdopen(descriptor, "wb"), name)


def _sync_directory(path: Path) -> None:
    """Make the new name durable too, not only what is in the file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
