"""What must hold at the end, each as one function: it returns what is broken, or nothing.

The rows are asked in SQL, the effects outside are counted where they are: in the payment
provider's own database, in the mail server, on the disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Broken = list[str]
MAX_SHOWN = 5


class Database(Protocol):
    def sql(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]: ...


@dataclass(frozen=True)
class Outside:
    """What was seen outside: the answers to clients, accepted mails by Message-ID, and folders."""

    accepted: Mapping[str, str]
    keys: Collection[str]
    mails: Mapping[str, int]
    sandbox: Path
    files: Path


Promise = Callable[[Database, Outside], Broken]
PROMISES: dict[str, Promise] = {}


def promise(text: str) -> Callable[[Promise], Promise]:
    def register(check: Promise) -> Promise:
        PROMISES[text] = check
        return check

    return register


@promise("No 202 is missing: each is one application, also when its request was repeated.")
def no_202_is_missing(database: Database, outside: Outside) -> Broken:
    stored = {row[0] for row in database.sql("SELECT id::text FROM applications_application")}
    promised = list(outside.accepted.values())
    broken = [f"application {id} is gone" for id in promised if id not in stored]
    if len(set(promised)) != len(promised):
        broken.append("two keys got the same application")
    if len(stored) > len(outside.keys):
        broken.append(f"{len(stored)} applications for {len(outside.keys)} keys")
    return broken


@promise("Every row is delivered, dead, or discarded by a named person.")
def every_row_has_ended(database: Database, outside: Outside) -> Broken:
    rows = database.sql(
        "SELECT id, handler, state FROM outbox"
        " WHERE state NOT IN ('delivered', 'dead', 'discarded')"
    )
    return [f"row {id} of {handler} is {state}" for id, handler, state in rows]


@promise("Every application is done, or waits for its student or for staff, or has a dead letter.")
def no_application_is_forgotten(database: Database, outside: Outside) -> Broken:
    rows = database.sql("""
        SELECT id, status FROM applications_application AS application
        WHERE status NOT IN ('completed', 'withdrawn', 'verification_failed', 'awaiting_payment',
                             'payment_initiated')
            AND documents <> 'needs_review'
            AND NOT EXISTS (SELECT FROM outbox WHERE aggregate_id = application.id
                AND state IN ('dead', 'discarded'))
    """)
    return [f"application {id} stays at {status}" for id, status in rows]


@promise("A row is delivered by exactly one attempt, and no attempt is made past its budget.")
def delivered_once(database: Database, outside: Outside) -> Broken:
    rows = database.sql("""
        SELECT outbox.id, state, count(*) FILTER (WHERE outcome = 'succeeded'), attempt_count,
               max_attempts, count(*)
        FROM outbox LEFT JOIN outbox_attempt ON outbox_id = outbox.id GROUP BY outbox.id
        HAVING count(*) FILTER (WHERE outcome = 'succeeded') <> (state = 'delivered')::int
            OR attempt_count > max_attempts OR count(outbox_id) <> attempt_count
    """)
    return [f"row {row[0]}: {row[1:]}" for row in rows]


@promise("A charge is made once: what the provider took and what we know to be paid are the same.")
def charged_once(database: Database, outside: Outside) -> Broken:
    with closing(sqlite3.connect(outside.sandbox)) as sandbox:
        taken = sandbox.execute(
            "SELECT reference, count(*) FROM payments JOIN sessions ON sessions.id = session_id"
            " WHERE payments.status = 'succeeded' GROUP BY reference"
        ).fetchall()
        sessions = sandbox.execute(
            "SELECT reference, count(*) FROM sessions GROUP BY reference HAVING count(*) > 1"
        ).fetchall()
    paid = {
        row[0] for row in database.sql("SELECT id::text FROM payments_payment WHERE state = 'paid'")
    }
    broken = [
        f"payment {reference} was taken {times} times" for reference, times in taken if times > 1
    ]
    broken += [f"payment {reference} has {count} checkouts" for reference, count in sessions]
    broken += [f"payment {reference} differs" for reference in {row[0] for row in taken} ^ paid]
    return broken


@promise(
    "A mail goes out once for its occasion; it is repeated, with the same Message-ID, only by a "
    "further attempt at its row."
)
def mailed_once(database: Database, outside: Outside) -> Broken:
    attempts = {
        row[0]: row[1]
        for row in database.sql("""
            SELECT message_id, attempt_count FROM notifications_mail AS mail
            JOIN outbox ON aggregate_id = application_id
                AND handler = 'send_' || occasion || '_mail'
                AND about = coalesce(payload->>'fileId', payload->>'checkoutNumber',
                                     payload->>'refundId', '')
            WHERE mail.state = 'sent'
        """)
    }
    broken = [f"mail {id} was never sent" for id in attempts.keys() - outside.mails.keys()]
    for message_id, copies in outside.mails.items():
        if copies > attempts.get(message_id, 0):
            known = attempts.get(message_id, 0)
            broken.append(f"mail {message_id} was sent {copies} times by {known} attempts")
    return broken


@promise("No file is left that no row names, and none is missing.")
def files_match_rows(database: Database, outside: Outside) -> Broken:
    stored = {path.name for path in outside.files.rglob("*") if path.is_file()}
    named = {
        Path(row[0]).name
        for row in database.sql("SELECT storage_name FROM applications_applicationfile")
    }
    return [
        *(f"file {name} belongs to no row" for name in stored - named),
        *(f"file {name} is missing" for name in named - stored),
    ]


@promise("No lock and no open transaction is left.")
def no_lock_is_left(database: Database, outside: Outside) -> Broken:
    rows = database.sql("""
        SELECT pid, state, query FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
            AND (cardinality(pg_blocking_pids(pid)) > 0
                OR state LIKE 'idle in transaction%' AND state_change < now() - interval '5 s')
    """)
    return [f"session {pid} is {state}: {query[:80]}" for pid, state, query in rows]


@promise("The gauges that the system keeps of itself say 0.")
def gauges_are_zero(database: Database, outside: Outside) -> Broken:
    rows = database.sql("SELECT name, value, examples::text FROM outbox_gauge WHERE value > 0")
    return [f"{name} is {value}: {examples}" for name, value, examples in rows]


def broken_promises(database: Database, outside: Outside) -> Broken:
    """Check all promises; return a line for each that is broken, with the first of what was found."""
    return [
        f"BROKEN: {text} {len(found)}: {'; '.join(found[:MAX_SHOWN])}"
        for text, check in PROMISES.items()
        if (found := check(database, outside))
    ]
