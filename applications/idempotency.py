"""Idempotency keys: one application per key, however often a client sends it.

The key's row is written in the transaction of the submission. A second request with the key meets
the unique index and waits for the first to end: if it commits, its answer is given again; if it
rolls back or its process dies, the key is free and the second request takes its place.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection
from django.db.models.functions import Now
from psycopg.errors import LockNotAvailable

from accounts.models import User
from applications.exceptions import InvalidKey, KeyInUse, KeyReused
from applications.models import IdempotencyKey
from applications.validation import Draft

SUBMISSION = "POST /applications"


@dataclass(frozen=True)
class Claim:
    """A key that a user sent, to which route, with the fingerprint of what it was sent with."""

    user: User
    route: str
    key: str
    fingerprint: str


def read_key(header: str | None) -> str | None:
    """Return the key, bare or quoted as the client likes; None without one; raise `InvalidKey`."""
    if header is None:
        return None
    quoted = re.fullmatch(r'"((?:[^"\\]|\\["\\])*)"', header)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else header
    if not re.fullmatch(r"[\x20-\x7e]+", key) or len(key) > settings.IDEMPOTENCY_KEY_MAX_LENGTH:
        raise InvalidKey
    return key


def claim_for(
    user: User, key: str | None, draft: Draft, *, route: str = SUBMISSION
) -> Claim | None:
    """Return the claim on the key that this draft came with, or None without a key."""
    return None if key is None else Claim(user, route, key, fingerprint(draft))


def fingerprint(draft: Draft) -> str:
    """Return a digest of the parsed fields and of each file's name, size and SHA-256, in order.

    Not of the raw body: its boundary changes whenever a client builds the request again.
    """
    files = [(file.name, file.size, file.sha256) for file in draft.files]
    canonical = json.dumps([draft.personal_statement, draft.priority, files])
    return hashlib.sha256(canonical.encode()).hexdigest()


def claim(claim: Claim) -> Mapping[str, Any] | None:
    """Write the key's row in the caller's transaction; return the former answer if there is one.

    Raises `KeyInUse` when another request with it is not done in time, and `KeyReused` when the
    key came with other content before.
    """
    while not _insert(claim):
        former = IdempotencyKey.objects.filter(user=claim.user, route=claim.route, key=claim.key)
        if former.filter(expires_at__lte=Now()).delete()[0]:
            continue
        row = former.first()
        if row is None:  # cleaned up in between
            continue
        if row.fingerprint != claim.fingerprint:
            raise KeyReused
        return dict(row.answer)
    return None


def remember(claim: Claim, answer: Mapping[str, Any]) -> None:
    """Store what a request with this key is answered from now on."""
    IdempotencyKey.objects.filter(user=claim.user, route=claim.route, key=claim.key).update(
        answer=answer
    )


def delete_expired() -> int:
    """Delete keys that are no longer promised to be kept; return how many."""
    return IdempotencyKey.objects.filter(expires_at__lte=Now()).delete()[0]


def _insert(claim: Claim) -> bool:
    """Try to insert the key, waiting for another transaction that is about to; False if it has."""
    wait_ms = settings.IDEMPOTENCY_WAIT_SECONDS * 1000
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{wait_ms}ms"])
            cursor.execute(
                """
                INSERT INTO applications_idempotencykey
                    (user_id, route, key, fingerprint, answer, expires_at)
                VALUES (%s, %s, %s, %s, '{}', statement_timestamp() + make_interval(hours => %s))
                ON CONFLICT (user_id, route, key) DO NOTHING
                """,
                [
                    claim.user.pk,
                    claim.route,
                    claim.key,
                    claim.fingerprint,
                    settings.IDEMPOTENCY_KEY_HOURS,
                ],
            )
            return bool(cursor.rowcount == 1)
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            raise KeyInUse from error
        raise
