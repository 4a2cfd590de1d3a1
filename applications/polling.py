"""How soon a client should ask for the status again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

# (seconds since the last change, seconds to wait): the longer nothing moves, the longer the wait.
STEPS = ((10, 2), (60, 5), (600, 15))
SLOWEST = 60


def retry_after_seconds(document: Mapping[str, Any], *, now: datetime | None = None) -> int | None:
    """Return the seconds to wait before the next look, or None when nothing will change."""
    if document["terminal"]:
        return None
    quiet = (now or datetime.now(UTC)) - datetime.fromisoformat(document["updatedAt"])
    return next((wait for limit, wait in STEPS if quiet.total_seconds() < limit), SLOWEST)
