"""Whether a new application can be taken in just now."""

from __future__ import annotations

import shutil
from pathlib import Path

from django.conf import settings
from django.core.files.storage import default_storage

from applications.exceptions import Overloaded, StorageFull
from outbox import admission


def check_backlog(priority: int) -> None:
    """Raise `Overloaded` if work of this priority would have to wait for too long."""
    wait = admission.retry_after_seconds(priority)
    if wait is not None:
        raise Overloaded(wait=wait)


def check_disk() -> None:
    """Raise `StorageFull` if the documents' disk has less room than `MIN_FREE_DISK_BYTES`.

    For before the body is read: the files of a submission are written while it arrives. A storage
    that is no disk, such as an object store, has no such limit.
    """
    try:
        folder = Path(default_storage.path(""))
    except NotImplementedError:
        return
    while not folder.exists():  # nothing has been uploaded yet
        folder = folder.parent
    if shutil.disk_usage(folder).free < settings.MIN_FREE_DISK_BYTES:
        raise StorageFull
