"""A document that waits for a decision, and somebody who may decide about it."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts.models import User
from applications.models import ApplicationFile
from tests.applications.documents import pdf
from tests.config.document_pages import START, person, stored


@pytest.fixture
def reviewer(client: Client) -> User:
    """Somebody who may look at documents and decide about them, signed in."""
    user = person("view", "review")
    client.force_login(user)
    return user


@pytest.fixture
def file(db: None) -> ApplicationFile:
    return stored(pdf(pages=2), pages=2, text="Transcript of records", created_at=START)
