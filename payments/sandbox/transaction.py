"""What the modules of the sandbox's tables work in."""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import dataclass


@dataclass(frozen=True)
class Transaction:
    """An open transaction on the sandbox's database, and its time in seconds since 1970."""

    db: sqlite3.Connection
    now: float


class IdempotencyMismatch(Exception):
    """The idempotency key was used before, for another request."""


def new_id(prefix: str) -> str:
    """Return a new id. A session's is all that protects its page, so none can be guessed."""
    return f"{prefix}_{secrets.token_hex(16)}"
