"""Gauges that must be 0: what was accepted is finished, or somebody or something works on it.

An app registers what it counts in its `gauges.py`; the relay checks all gauges continuously.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import InterfaceError, OperationalError, connection

from outbox.models import Gauge

logger = logging.getLogger(__name__)

MAX_EXAMPLES = 20


@dataclass(frozen=True)
class Finding:
    """How many were found, and the ids of some of them."""

    count: int
    examples: Sequence[object] = ()


Check = Callable[[], Finding]
_checks: dict[str, Check] = {}


def gauge(name: str) -> Callable[[Check], Check]:
    """Register the decorated function as the gauge called `name`."""

    def register(check: Check) -> Check:
        if name in _checks:
            raise ValueError(f"Two gauges are called {name}.")
        _checks[name] = check
        return check

    return register


RECORD = """
    INSERT INTO outbox_gauge AS known (name, value, examples, checked_at, broken_since)
    VALUES (%(name)s, %(value)s, to_jsonb(%(examples)s::text[]), statement_timestamp(),
            CASE WHEN %(value)s > 0 THEN statement_timestamp() END)
    ON CONFLICT (name) DO UPDATE SET
        value = excluded.value, examples = excluded.examples, checked_at = excluded.checked_at,
        broken_since = CASE WHEN excluded.value > 0
            THEN coalesce(known.broken_since, excluded.broken_since) END
"""


def check() -> None:
    """Read every gauge and note what it says; one that is not 0 is also logged as an error."""
    for name, count in _checks.items():
        try:
            finding = count()
        except (OperationalError, InterfaceError):
            raise  # the relay tries again once the database is back
        except Exception:
            logger.exception("gauge failed name=%s", name)
            continue
        examples = [str(example) for example in finding.examples]
        with connection.cursor() as cursor:
            cursor.execute(RECORD, {"name": name, "value": finding.count, "examples": examples})
        if finding.count:
            logger.error("broken gauge=%s value=%d ids=%s", name, finding.count, examples)


def broken() -> list[Gauge]:
    """Return the gauges that are not 0."""
    return list(Gauge.objects.filter(value__gt=0).order_by("name"))
