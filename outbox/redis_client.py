"""The one Redis client of a process."""

from __future__ import annotations

from functools import cache

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry


@cache
def client() -> redis.Redis:
    """Return this process's client; it connects when it is used, and never waits long."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=settings.REDIS_TIMEOUT_SECONDS,
        socket_connect_timeout=settings.REDIS_TIMEOUT_SECONDS,
        # Once more for a connection that has gone stale; the caller can do without Redis.
        retry=Retry(NoBackoff(), 1),
    )
