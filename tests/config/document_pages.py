"""The pages of documents in the admin: who opens them, and where they are."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.models import Permission
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from accounts.models import User
from applications.models import ApplicationFile, DocumentAccess
from tests.factories import ApplicationFileFactory, StaffFactory

LIST = "/admin/applications/applicationfile/"
START = datetime(2026, 1, 1, 12, tzinfo=UTC)


def person(*permissions: str) -> User:
    """A member of staff who has these permissions on documents."""
    user: User = StaffFactory.create(is_superuser=False)
    codenames = [f"{permission}_applicationfile" for permission in permissions]
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


def stored(content: bytes, **fields: Any) -> ApplicationFile:
    """A document to decide about whose content is in the storage."""
    fields = {"needs_review": True, "sha256": hashlib.sha256(content).hexdigest(), **fields}
    file: ApplicationFile = ApplicationFileFactory.create(**fields)
    default_storage.save(file.storage_name, ContentFile(content))
    return file


def url(file: ApplicationFile) -> str:
    return f"{LIST}{file.pk}/change/"


def picture_url(file: ApplicationFile, page: int = 1) -> str:
    return f"{LIST}{file.pk}/page/{page}/"


def looks() -> list[tuple[Any, ...]]:
    return list(DocumentAccess.objects.order_by("pk").values_list("file", "user", "kind"))
