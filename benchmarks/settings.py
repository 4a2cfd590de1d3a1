"""The settings of Sluice and one more app: the handler that the benchmark measures with."""

from __future__ import annotations

from config import settings
from config.settings import *  # noqa: F403 - a settings module has to hold every setting

INSTALLED_APPS = [*settings.INSTALLED_APPS, "benchmarks.noop"]
