"""A table that has grown: copies of one delivered row and its attempt, spread over a month."""

from __future__ import annotations

from django.db import connection, models

from benchmarks.sluice import QUEUE, Sluice
from outbox import delivery, relay
from outbox.models import Attempt, Outbox
from outbox.queues import get_queue
from runtime.exceptions import RuntimeProblem

MONTH_SECONDS = 30 * 24 * 3600


def grow(engine: Sluice, rows: int) -> None:
    """Deliver one row, copy it until there are so many in all, then VACUUM and ANALYZE."""
    engine.clear()
    engine.publish_one(0)
    relay.move_due(QUEUE, limit=1)
    original = Outbox.objects.get()
    lease = delivery.claim(get_queue(QUEUE), original.pk)
    if lease is None:
        raise RuntimeProblem("The row to copy is not to be had.")
    delivery.deliver(lease)
    with connection.cursor() as cursor:
        cursor.execute(_copy_rows(), {"original": original.pk, "copies": rows - 1, **_spread(rows)})
        cursor.execute(_copy_attempts(), {"original": original.pk})
        cursor.execute("VACUUM ANALYZE outbox, outbox_attempt")


def _spread(rows: int) -> dict[str, float]:
    return {"step": MONTH_SECONDS / rows}


def _copy_rows() -> str:
    """Copy every column, so that it needs no change when there are more; the oldest comes first."""
    shift = "make_interval(secs => %(step)s * (%(copies)s + 1 - number))"
    columns = _columns(Outbox, shift=f"- {shift}")
    return f"""
        INSERT INTO outbox ({", ".join(columns)})
        SELECT {", ".join(columns.values())}
        FROM outbox AS original, generate_series(1, %(copies)s) AS number
        WHERE original.id = %(original)s ORDER BY number
    """  # noqa: S608 - the names come from the models


def _copy_attempts() -> str:
    columns = _columns(Attempt, shift="- (first.finished_at - copy.finished_at)")
    columns["outbox_id"] = "copy.id"
    return f"""
        INSERT INTO outbox_attempt ({", ".join(columns)})
        SELECT {", ".join(columns.values())}
        FROM outbox_attempt AS original
        JOIN outbox AS first ON first.id = original.outbox_id
        JOIN outbox AS copy ON copy.id > first.id
        WHERE first.id = %(original)s ORDER BY copy.id
    """  # noqa: S608 - the names come from the models


def _columns(model: type[models.Model], *, shift: str) -> dict[str, str]:
    """Return each column but the key, and what a copy has there: times are moved, UUIDs are new."""
    return {
        field.column: _copied(field, shift)
        for field in model._meta.concrete_fields
        if field.column and not field.primary_key
    }


def _copied(field: models.Field[object, object], shift: str) -> str:
    if isinstance(field, models.DateTimeField):
        return f"original.{field.column} {shift}"
    if isinstance(field, models.UUIDField):
        return "gen_random_uuid()"
    return f"original.{field.column}"
