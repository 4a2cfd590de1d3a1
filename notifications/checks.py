"""System checks of the mail settings: what is wrong with them stops the start."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import get_connection


def backend_can_be_made(**kwargs: Any) -> list[CheckMessage]:
    """E001: `EMAIL_BACKEND` is unknown, lacks a setting of its provider, or two settings conflict."""
    try:
        get_connection()
    except (ImportError, AttributeError, ValueError, ImproperlyConfigured) as error:
        return [Error(f"No mail can be sent: {error}", id="notifications.E001")]
    return []
