"""What has to be tidied up from time to time; settings.PERIODIC_TASKS says how often."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from itertools import islice

from django.conf import settings
from django.core.files.storage import default_storage
from django.utils import timezone

from applications import idempotency
from applications.models import ApplicationFile

logger = logging.getLogger(__name__)

BATCH = 500


def sweep() -> None:
    """Delete idempotency keys that have expired, and stored files that no row names."""
    logger.info("swept keys=%d files=%d", idempotency.delete_expired(), sweep_files())


def sweep_files() -> int:
    """Delete files that no row names although they are old; return how many.

    They are left by a process that died while it took in a submission, or whose commit was cut
    off. The age keeps files safe whose submission still runs.
    """
    before = timezone.now() - timedelta(hours=settings.ORPHAN_FILE_HOURS)
    names = iter(_stored_names())
    deleted = 0
    while batch := list(islice(names, BATCH)):
        named = ApplicationFile.objects.filter(storage_name__in=batch)
        for name in set(batch) - set(named.values_list("storage_name", flat=True)):
            deleted += _delete_if_older(name, before)
    return deleted


def _delete_if_older(name: str, before: datetime) -> bool:
    """Delete the file if it is old enough, and say whether it was.

    One that is gone meanwhile, or can't be deleted, must not keep the others.
    """
    try:
        if default_storage.get_modified_time(name) >= before:
            return False
        default_storage.delete(name)
    except Exception:  # every storage has errors of its own
        logger.exception("sweep failed file=%s", name)
        return False
    return True


def _stored_names() -> list[str]:
    try:
        return default_storage.listdir("")[1]
    except FileNotFoundError:  # nothing has been uploaded yet
        return []
