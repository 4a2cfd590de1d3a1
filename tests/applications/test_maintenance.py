from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from applications.maintenance import sweep, sweep_files
from applications.models import IdempotencyKey
from tests.factories import ApplicationFileFactory, UserFactory

pytestmark = pytest.mark.django_db


def stored(name: str, directory: Path, *, hours_old: float) -> str:
    with default_storage.open(name, "wb") as file:
        file.write(b"%PDF-")
    then = (timezone.now() - timedelta(hours=hours_old)).timestamp()
    os.utime(directory / name, (then, then))
    return name


def test_sweep_deletes_old_files_that_no_row_names(storage_dir, settings):
    limit = settings.ORPHAN_FILE_HOURS
    stored("orphan", storage_dir, hours_old=limit + 1)
    stored("running", storage_dir, hours_old=limit - 1)
    ApplicationFileFactory(storage_name=stored("named", storage_dir, hours_old=limit + 1))

    assert sweep_files() == 1
    assert {path.name for path in storage_dir.iterdir()} == {"running", "named"}


def test_sweep_looks_at_every_batch(storage_dir, settings, monkeypatch):
    monkeypatch.setattr("applications.maintenance.BATCH", 2)
    for number in range(5):
        stored(f"orphan-{number}", storage_dir, hours_old=settings.ORPHAN_FILE_HOURS + 1)

    assert sweep_files() == 5


def test_sweep_goes_on_after_a_file_that_is_gone_meanwhile(storage_dir, settings, monkeypatch):
    stored("orphan", storage_dir, hours_old=settings.ORPHAN_FILE_HOURS + 1)
    monkeypatch.setattr("applications.maintenance._stored_names", lambda: ["gone", "orphan"])
    monkeypatch.setattr("applications.maintenance.BATCH", 1)

    assert sweep_files() == 1
    assert list(storage_dir.iterdir()) == []


def test_sweep_goes_on_after_a_file_that_can_not_be_deleted(
    storage_dir, settings, monkeypatch, caplog
):
    for name in ("a", "b", "c"):
        stored(name, storage_dir, hours_old=settings.ORPHAN_FILE_HOURS + 1)
    delete = os.remove

    def refuse(path):
        if Path(path).name == "b":
            raise PermissionError
        delete(path)

    monkeypatch.setattr("os.remove", refuse)

    assert sweep_files() == 2
    assert [path.name for path in storage_dir.iterdir()] == ["b"]
    assert caplog.messages == ["sweep failed file=b"]


def test_sweep_before_the_first_upload_finds_nothing(storage_dir):
    assert sweep_files() == 0


def test_sweep_deletes_expired_keys_only(storage_dir):
    user, now = UserFactory(), timezone.now()
    for key, expires_at in [("old", now - timedelta(seconds=1)), ("new", now + timedelta(hours=1))]:
        IdempotencyKey.objects.create(
            user=user, route="POST /applications", key=key, fingerprint="", expires_at=expires_at
        )

    sweep()

    assert [row.key for row in IdempotencyKey.objects.all()] == ["new"]
