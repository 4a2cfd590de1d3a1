"""The status of an application as it is read: from Redis if that is safe, else from PostgreSQL.

Promise: nobody is shown a state older than one that was shown before, and no entry outlives the
change that makes it stale, also when the writer dies between its commit and the cache. How:
- before it commits, a writer drops the entry and leaves a mark; while there is a mark nobody reads
  or fills the entry (`mark`);
- after the commit it takes the mark away and leaves its version, below which nothing is cached
  any more (`unmark`);
- a writer that dies leaves its mark until it expires. PostgreSQL rolls an idle transaction back
  before that (settings.IDLE_TRANSACTION_SECONDS), so no commit comes after its mark is gone;
- a reader that was suspended between row and cache can't bring an old state back: it fills only
  within settings.STATUS_FILL_SECONDS by Redis' clock, which is shorter than a mark, and only if
  Redis has not been emptied in between (the epoch).
Whenever Redis is away, the database answers.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import redis
from django.conf import settings
from django.db import transaction

from accounts.models import User
from applications import selectors
from outbox.redis_client import client

logger = logging.getLogger(__name__)

# A random word that is gone when Redis is emptied, marks and versions included.
EPOCH = "status:epoch"

# KEYS: entry, mark, epoch. ARGV: a word for a new epoch. Returns the document, or nothing and the
# terms of filling it: time and epoch.
READ = """
    if redis.call('EXISTS', KEYS[2]) == 1 then return {} end
    local document = redis.call('HGET', KEYS[1], 'document')
    if document then return {document} end
    redis.call('SET', KEYS[3], ARGV[1], 'NX')
    return {false, redis.call('TIME')[1], redis.call('GET', KEYS[3])}
"""
# KEYS: entry, mark, epoch. ARGV: document, version, time and epoch of the read, seconds that the
# read may be ago, seconds to keep the entry.
FILL = """
    if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
    if redis.call('GET', KEYS[3]) ~= ARGV[4] then return 0 end
    if redis.call('TIME')[1] - ARGV[3] > tonumber(ARGV[5]) then return 0 end
    local version = tonumber(redis.call('HGET', KEYS[1], 'version') or '0')
    if version > tonumber(ARGV[2]) then return 0 end
    redis.call('HSET', KEYS[1], 'document', ARGV[1], 'version', ARGV[2])
    redis.call('EXPIRE', KEYS[1], ARGV[6])
    return 1
"""
# KEYS: entry, mark. ARGV: token, version, seconds to keep the entry. The mark of a later writer has
# another token and stays.
UNMARK = """
    local version = tonumber(redis.call('HGET', KEYS[1], 'version') or '0')
    if version < tonumber(ARGV[2]) then
        redis.call('HDEL', KEYS[1], 'document')
        redis.call('HSET', KEYS[1], 'version', ARGV[2])
        redis.call('EXPIRE', KEYS[1], ARGV[3])
    end
    if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
    return 1
"""


@dataclass(frozen=True)
class StatusView:
    """An application's status document, and whose it is."""

    student_id: str
    version: int
    document: dict[str, Any]


@dataclass(frozen=True)
class FillTerms:
    """When, by Redis' clock, and in which epoch of Redis a state was read."""

    read_at: int
    epoch: str


def get(application_id: uuid.UUID) -> StatusView | None:
    """Return the status of the application, or None if there is none."""
    cached, terms = read(application_id)
    if cached is not None:
        return cached
    view = load(application_id)
    if view is not None and terms is not None:
        fill(application_id, view, terms)
    return view


def get_visible(application_id: uuid.UUID, user: User) -> StatusView | None:
    """Return the status for its owner or staff; for anyone else it is not there."""
    view = get(application_id)
    if view is None or not (user.is_staff or view.student_id == str(user.pk)):
        return None
    return view


def read(application_id: uuid.UUID) -> tuple[StatusView | None, FillTerms | None]:
    """Return what the cache has; or on which terms it may be filled; or neither."""
    try:
        found = client().eval(READ, 3, *_keys(application_id), EPOCH, uuid.uuid4().hex)
    except redis.RedisError as error:
        logger.warning("status cache is away error=%s", error)
        return None, None
    match found:
        case [bytes() as body]:
            return StatusView(**json.loads(body)), None
        case [None, time, epoch]:
            return None, FillTerms(read_at=int(time), epoch=epoch.decode())
        case _:
            return None, None


def load(application_id: uuid.UUID) -> StatusView | None:
    """Return the status as the database has it."""
    found = selectors.status_of(application_id)
    if found is None:
        return None
    application, document = found
    return StatusView(str(application.student_id), application.version, document)


def fill(application_id: uuid.UUID, view: StatusView, terms: FillTerms) -> bool:
    """Offer the cache a state that was read on these terms; return whether it was taken."""
    body = json.dumps(asdict(view))
    arguments: list[str | int] = [
        *(body, view.version, terms.read_at, terms.epoch),
        *(settings.STATUS_FILL_SECONDS, settings.STATUS_CACHE_SECONDS),
    ]
    return bool(_run(FILL, *_keys(application_id), EPOCH, arguments=arguments))


def mark(application_id: uuid.UUID, *, version: int) -> None:
    """Announce the version that this transaction is about to commit; call it last there."""
    entry, mark_key = _keys(application_id)
    token = uuid.uuid4().hex
    try:
        with client().pipeline(transaction=True) as pipeline:
            pipeline.hdel(entry, "document")
            pipeline.set(mark_key, token, ex=settings.STATUS_MARK_SECONDS)
            pipeline.execute()
    except redis.RedisError as error:
        logger.warning("status cache is away error=%s", error)
    transaction.on_commit(lambda: unmark(application_id, token=token, version=version))


def unmark(application_id: uuid.UUID, *, token: str, version: int) -> None:
    """Let the status be cached again from this version on, now that it is committed."""
    arguments = (token, version, settings.STATUS_CACHE_SECONDS)
    _run(UNMARK, *_keys(application_id), arguments=arguments)


def _run(script: str, *keys: str, arguments: Sequence[str | int]) -> object:
    """Run a script; None when Redis is away, which the database makes up for."""
    try:
        return client().eval(script, len(keys), *keys, *arguments)
    except redis.RedisError as error:
        logger.warning("status cache is away error=%s", error)
        return None


def _keys(application_id: uuid.UUID) -> tuple[str, str]:
    return f"status:{application_id}", f"status:{application_id}:mark"
