from __future__ import annotations

from django.apps import AppConfig
from django.core import checks


class NotificationsConfig(AppConfig):
    name = "notifications"

    def ready(self) -> None:
        from notifications.checks import backend_can_be_made  # noqa: PLC0415 - needs the settings

        checks.register(backend_can_be_made)
