from __future__ import annotations

import pytest
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from accounts.models import User


def client_of(user: User) -> APIClient:
    """Return a client that sends a real token of this user."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {AccessToken.for_user(user)}")
    return client


@pytest.fixture
def bearer(student: User) -> APIClient:
    """A client of `student` that goes the whole way, authentication included."""
    return client_of(student)


@pytest.fixture
def staff_bearer(staff: User) -> APIClient:
    return client_of(staff)
