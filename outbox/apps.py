from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class OutboxConfig(AppConfig):
    name = "outbox"

    def ready(self) -> None:
        from outbox import broker  # noqa: PLC0415 - django-q2 can be imported only once apps are ready

        autodiscover_modules("handlers", "gauges")
        broker.unregister_admin()
