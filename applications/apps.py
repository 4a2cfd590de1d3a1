from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register

from applications.verification import malware


class ApplicationsConfig(AppConfig):
    name = "applications"

    def ready(self) -> None:
        register(malware.check_address)
