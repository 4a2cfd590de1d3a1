"""What all tests share. `make test` starts PostgreSQL and Valkey for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.test import override_settings
from rest_framework.test import APIClient

from accounts.models import User
from outbox import registry
from outbox.redis_client import client as redis_client
from tests.factories import StaffFactory, UserFactory


@pytest.fixture(autouse=True)
def empty_redis() -> Iterator[None]:
    """Every test begins with an empty Redis, as after a loss."""
    redis_client().flushdb()
    yield
    redis_client().flushdb()


@pytest.fixture(scope="session", autouse=True)
def fast_passwords() -> Iterator[None]:
    """A password that takes a second to hash would be most of the time of most tests."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture(scope="session", autouse=True)
def static_root() -> None:
    """The site's middleware wants the directory of the collected static files to be there."""
    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)


@pytest.fixture(autouse=True)
def storage_dir(settings, tmp_path: Path) -> Path:
    """Documents of a test go to a directory of its own, which is returned."""
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {**settings.STORAGES["default"], "OPTIONS": {"location": tmp_path / "files"}},
    }
    return tmp_path / "files"


@pytest.fixture
def handlers(monkeypatch: pytest.MonkeyPatch) -> dict[str, registry.Handler]:
    """An empty registry, in which a test registers handlers of its own."""
    empty: dict[str, registry.Handler] = {}
    monkeypatch.setattr(registry, "_handlers", empty)
    return empty


@pytest.fixture
def student(db: None) -> User:
    return UserFactory.create()


@pytest.fixture
def staff(db: None) -> User:
    return StaffFactory.create()


@pytest.fixture
def api(student: User) -> APIClient:
    """An API client signed in as `student`."""
    client = APIClient()
    client.force_authenticate(student)
    return client
