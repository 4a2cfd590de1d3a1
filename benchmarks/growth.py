"""A table that has grown: copies of one delivered row and its attempt, spread over a week."""

from __future__ import annotations

from django.db import connection, models

from benchmarks.bench import Bench
from benchmarks.sluice import Sluice
from outbox.models import Attempt, Outbox

WEEK_SECONDS = 7 * 24 * 3600


def grow(bench: Bench, engine: Sluice, rows: int) -> None:
    """Deliver one row, copy it until there are so many in all, then VACUUM and ANALYZE."""
    engine.clear()
    engine.publish_one(0)
    with bench.running(engine) as processes:
        processes.wait_for(lambda: engine.record().succeeded == 1, what="a row is delivered")
    original = {"original": Outbox.objects.get().pk}
    spread = {"copies": rows - 1, "step": WEEK_SECONDS / rows}
    with bench.stop.interruptible(), connection.cursor() as cursor:
        cursor.execute(_copy_rows(), {**original, **spread})
        cursor.execute(_copy_attempts(), original)
        cursor.execute("VACUUM ANALYZE outbox, outbox_attempt")


# The originals are read once, as MATERIALIZED says: a plan that looks them up again for each copy
# goes through all the copies made so far.
def _copy_rows() -> str:
    """Copy every column, so that it needs no change when there are more; the oldest comes first."""
    shift = "make_interval(secs => %(step)s * (%(copies)s + 1 - number))"
    columns = _columns(Outbox, shift=f"- {shift}")
    return f"""
        WITH original AS MATERIALIZED (SELECT * FROM outbox WHERE id = %(original)s)
        INSERT INTO outbox ({", ".join(columns)})
        SELECT {", ".join(columns.values())}
        FROM original, generate_series(1, %(copies)s) AS number ORDER BY number
    """  # noqa: S608 - the names come from the models


def _copy_attempts() -> str:
    columns = _columns(Attempt, shift="- (original.row_finished_at - copy.finished_at)")
    columns["outbox_id"] = "copy.id"
    return f"""
        WITH original AS MATERIALIZED (
            SELECT outbox_attempt.*, outbox.finished_at AS row_finished_at
            FROM outbox_attempt JOIN outbox ON outbox.id = outbox_id
            WHERE outbox_id = %(original)s
        )
        INSERT INTO outbox_attempt ({", ".join(columns)})
        SELECT {", ".join(columns.values())}
        FROM original, outbox AS copy WHERE copy.id > original.outbox_id ORDER BY copy.id
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
