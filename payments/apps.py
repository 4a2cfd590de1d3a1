from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register


class PaymentsConfig(AppConfig):
    name = "payments"

    def ready(self) -> None:
        from payments.checks import provider_is_set_up  # noqa: PLC0415 - needs the settings

        register(provider_is_set_up)
