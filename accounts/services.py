"""Changes to accounts."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from accounts.models import User


class EmailTaken(Exception):
    """Somebody has an account with this address already."""


def register(*, email: str, name: str, password: str) -> User:
    """Create a student's account; raises `EmailTaken`.

    The unique index decides, not a look before: two requests may come at the same moment.
    """
    try:
        with transaction.atomic():
            return User.objects.create_user(email=email, name=name, password=password)
    except IntegrityError as error:
        raise EmailTaken from error
