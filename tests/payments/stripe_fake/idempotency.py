"""Idempotency keys: one answer for each key."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.payments.stripe_fake.errors import ApiError

MAX_KEY_LENGTH = 255


@dataclass(frozen=True)
class Answer:
    """An answer as it is sent. `replayed` if it is one that a key got before."""

    status: int
    body: bytes
    replayed: bool = False


@dataclass
class _Use:
    endpoint: str
    params: dict[str, str]
    answer: Answer | None = None  # none yet: being worked on


class Keys:
    """Remembers for each key what was asked for and what was answered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._uses: dict[str, _Use] = {}

    def answer(
        self, key: str, endpoint: str, params: dict[str, str], act: Callable[[], Any]
    ) -> Answer:
        """Return the answer that `key` got before, else that of `act`, which runs at most once.

        Raise ApiError for a key of another request or one that is being worked on. A request that
        did not get as far as acting leaves its key unused.
        """
        use = _Use(endpoint, params)
        with self._lock:
            before = self._uses.setdefault(key, use)
        if before is not use:
            return _replay(key, before, use)
        try:
            use.answer = Answer(200, encode(act()))
        except ApiError as error:
            if not error.executed:
                raise
            use.answer = Answer(error.status, encode(error.body))
        finally:
            if use.answer is None:
                with self._lock:
                    del self._uses[key]
        return use.answer


def _replay(key: str, before: _Use, now: _Use) -> Answer:
    if before.endpoint != now.endpoint:
        raise ApiError(
            400,
            "Keys for idempotent requests can only be used for the same endpoint they were first"
            f" used for ('{before.endpoint}' vs '{now.endpoint}').",
            type="idempotency_error",
        )
    if before.params != now.params:
        raise ApiError(
            400,
            "Keys for idempotent requests can only be used with the same parameters they were"
            f" first used with. Try using a key other than '{key}'.",
            type="idempotency_error",
        )
    if before.answer is None:
        raise ApiError(
            409,
            f"There is currently another in-progress request using this Idempotent Key: {key}.",
            code="idempotency_key_in_use",
        )
    return Answer(before.answer.status, before.answer.body, replayed=True)


def encode(content: Any) -> bytes:
    """Return JSON as Stripe writes it."""
    return json.dumps(content, indent=2).encode()
