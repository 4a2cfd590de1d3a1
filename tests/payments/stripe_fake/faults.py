"""What goes wrong at Stripe, on demand of a test."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from tests.payments.stripe_fake.errors import ApiError

PATIENCE = 20  # seconds before a test gives up; nothing is expected to take as long


@dataclass(frozen=True)
class Refusal:
    """An answer that is given before Stripe looks at the request; no key remembers it."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    code: str | None = None

    @property
    def body(self) -> dict[str, Any]:
        error = ApiError(self.status, "Something went wrong", type="api_error", code=self.code)
        return error.body


class Hold:
    """Keeps a request at Stripe, which has begun and not acted yet."""

    def __init__(self) -> None:
        self._arrived = threading.Event()
        self._released = threading.Event()

    def wait_for_request(self) -> None:
        assert self._arrived.wait(PATIENCE)

    def release(self) -> None:
        self._released.set()

    def keep(self) -> None:
        self._arrived.set()
        assert self._released.wait(PATIENCE)


class Faults:
    """Each fault happens to the next requests, as often as it was asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._refusals: list[Refusal] = []
        self._silences = 0
        self._crashes = 0
        self._holds: list[Hold] = []

    def refuse(
        self,
        status: int,
        *,
        times: int = 1,
        retry_after: int | None = None,
        code: str | None = None,
    ) -> None:
        """Answer with an error and do nothing."""
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        with self._lock:
            self._refusals += [Refusal(status, headers, code)] * times

    def time_out_after_acting(self, *, times: int = 1) -> None:
        """Do what is asked for and never answer."""
        with self._lock:
            self._silences += times

    def crash(self, *, times: int = 1) -> None:
        """Answer 500 in the middle of acting, which the key remembers."""
        with self._lock:
            self._crashes += times

    def hold(self) -> Hold:
        """Keep the next request that acts until it is released."""
        hold = Hold()
        with self._lock:
            self._holds.append(hold)
        return hold

    # What the server asks.

    def refusal(self) -> Refusal | None:
        with self._lock:
            return self._refusals.pop(0) if self._refusals else None

    def before_acting(self) -> None:
        with self._lock:
            hold = self._holds.pop(0) if self._holds else None
            crashes = self._crashes > 0
            self._crashes -= crashes
        if hold is not None:
            hold.keep()
        if crashes:
            raise ApiError(500, "An unknown error occurred", type="api_error", executed=True)

    def is_silent(self) -> bool:
        with self._lock:
            silent = self._silences > 0
            self._silences -= silent
        return silent
