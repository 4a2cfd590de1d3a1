"""What the figures depend on: machine, versions, sizes."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import redis
from django.db import connection

from benchmarks.contract import WORKERS
from benchmarks.sizes import Sizes
from outbox.redis_client import client


def setup(sizes: Sizes) -> dict[str, Any]:
    return {
        "cpus": os.cpu_count(),
        "machine": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "postgresql": _postgres_setting("server_version"),
        "fsync": _postgres_setting("fsync"),
        "synchronous_commit": _postgres_setting("synchronous_commit"),
        "valkey": _valkey_version(client()),
        **{name: version(name) for name in ("django", "django-q2", "procrastinate", "celery")},
        "workers": WORKERS,
        **asdict(sizes),
    }


def _postgres_setting(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting(%s)", [name])
        (value,) = cursor.fetchone() or ("",)
    return str(value)


def _valkey_version(valkey: redis.Redis) -> str:
    server = valkey.info("server")
    return str(server.get("valkey_version") or server["redis_version"])
