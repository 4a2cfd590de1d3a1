"""Gauges that must be 0: what was accepted is finished, or somebody or something works on it.

An app registers what it counts in its `gauges.py`; the relay checks all gauges continuously.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import InterfaceError, OperationalError, connection
from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise

from outbox.models import Gauge

logger = logging.getLogger(__name__)

MAX_EXAMPLES = 20


@dataclass(frozen=True)
class Finding:
    """How many were found, and the ids of some of them."""

    count: int
    examples: Sequence[object] = ()


Count = Callable[[], Finding]


@dataclass(frozen=True)
class Check:
    """A registered gauge; see `gauge`."""

    count: Count
    says: Promise
    page: str


_checks: dict[str, Check] = {}


def gauge(name: str, *, says: Promise, page: str) -> Callable[[Count], Count]:
    """Register the decorated function as the gauge called `name`.

    `says` is the sentence for staff, of `ngettext_lazy`, with %d for how many; `page` the name of
    the address that shows an example by its id.
    """

    def register(count: Count) -> Count:
        if name in _checks:
            raise ValueError(f"Two gauges are called {name}.")
        _checks[name] = Check(count, says, page)
        return count

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
    for name, known in _checks.items():
        try:
            finding = known.count()
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


@dataclass(frozen=True)
class Broken:
    """A gauge that is not 0, in words for staff; `examples` are ids, with an address if there is
    a page."""

    sentence: str
    since: datetime | None
    examples: Sequence[tuple[str, str]]


def broken() -> list[Broken]:
    """Return the gauges that are not 0."""
    return [_described(gauge) for gauge in Gauge.objects.filter(value__gt=0).order_by("name")]


def _described(gauge: Gauge) -> Broken:
    known = _checks.get(gauge.name)
    sentence = str(known.says % gauge.value) if known else f"{gauge.name}: {gauge.value}"
    page = known.page if known else ""
    examples = [(example, _address(page, example)) for example in gauge.examples]
    return Broken(sentence, gauge.broken_since, examples)


def _address(page: str, example: str) -> str:
    if not re.fullmatch(r"\d+|[0-9a-f-]{36}", example):
        return ""  # the name of a queue, say
    try:
        return reverse(page, args=[example])
    except NoReverseMatch:
        return ""
