"""The settings of Sluice, and one more app whose handlers misbehave."""

from __future__ import annotations

from config import settings

globals().update({name: getattr(settings, name) for name in dir(settings) if name.isupper()})
INSTALLED_APPS = [*settings.INSTALLED_APPS, "tests.chaos.faulty"]
