"""Calls to Stripe: how they travel, how long they may take, and what their errors mean to us."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import httpx
import stripe

from payments.providers.base import (
    KeyReused,
    ProviderError,
    ProviderRejected,
    ProviderUnavailable,
)

CONNECT_SECONDS = 2.0
READ_SECONDS = 5.0
# What one call of ours may take, also where it asks Stripe twice. An attempt of the outbox is
# stopped after 10 s.
CALL_SECONDS = 8.0
# The outbox repeats what failed, with the same idempotency key; a second try here has no time.
NETWORK_RETRIES = 0
MAX_SAID_LENGTH = 200
KEY_PATTERN = re.compile("[!-~]+")

# The library would tell Stripe about this machine, and keep a file in the home folder for it.
stripe.enable_telemetry = False


@contextmanager
def calling(*, base_url: str, api_key: str) -> Iterator[stripe.StripeClient]:
    """Give a client for one call of ours; what goes wrong with it is raised as a `ProviderError`.

    A client for each call: nothing is shared by threads or inherited by a fork.
    """
    if not KEY_PATTERN.fullmatch(api_key):
        # It would fail as a header, and the libraries below would log what could not be sent.
        raise ProviderRejected("STRIPE_API_KEY is empty or has a character that no key has.")
    try:
        yield stripe.StripeClient(
            api_key,
            base_addresses={"api": base_url},
            max_network_retries=NETWORK_RETRIES,
            http_client=_HttpClient(),
        )
    except stripe.StripeError as error:
        # Without its cause: what the library keeps of a request and its answer stays out of logs.
        raise _meaning(error) from None


class _HttpClient(stripe.HTTPClient):
    """Carries the requests of one call. The clients of the library can't leave the variables for
    proxies alone, or mix up a refused connection and one that broke after Stripe had acted."""

    name = "httpx"

    def __init__(self) -> None:
        super().__init__()
        self._deadline = time.monotonic() + CALL_SECONDS

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        """Return the body, the status and the headers of the answer."""
        try:
            with httpx.Client(timeout=self._timeout(), trust_env=False, verify=_tls()) as client:
                answer = client.request(method, url, headers=headers, content=post_data)
        except httpx.ConnectError:
            raise ProviderUnavailable("Stripe refuses connections.") from None
        except httpx.HTTPError as error:
            # Perhaps Stripe acted. Without the cause, which may quote a header: one has the key.
            raise ProviderError(f"Stripe can't be reached: {type(error).__name__}.") from None
        return answer.text, answer.status_code, answer.headers

    def _timeout(self) -> httpx.Timeout:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise ProviderError("Stripe takes too long.")
        return httpx.Timeout(min(READ_SECONDS, left), connect=min(CONNECT_SECONDS, left))


@cache
def _tls() -> ssl.SSLContext:
    """Return the certificates to trust; reading them takes longer than a call."""
    return ssl.create_default_context()


def _meaning(error: stripe.StripeError) -> ProviderError:
    """Return the error of ours that tells what to do about one of Stripe."""
    status = error.http_status or 0
    problem = f"Stripe answered {status}: {(error.user_message or '')[:MAX_SAID_LENGTH]}"
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        # In words of our own: Stripe's quote the key.
        return ProviderRejected(f"Stripe answered {status}: the API key is wrong or may not do it.")
    if isinstance(error, stripe.RateLimitError):
        if _code(error) == "lock_timeout":  # only this object is busy
            return ProviderError(problem)
        return ProviderUnavailable(problem, retry_after_seconds=_retry_after(error))
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        if _header(error, "Idempotent-Replayed") == "true":
            # Stripe has kept this answer for the key and won't try again.
            return ProviderRejected(problem)
        return ProviderUnavailable(problem, retry_after_seconds=_retry_after(error))
    if isinstance(error, stripe.IdempotencyError):
        return KeyReused(problem)
    if status == httpx.codes.CONFLICT:  # the same key is being worked on
        return ProviderError(problem)
    if status >= httpx.codes.BAD_REQUEST:
        return ProviderRejected(problem)
    return ProviderError(problem)


def _code(error: stripe.StripeError) -> Any:
    body = error.json_body
    details = body.get("error") if isinstance(body, dict) else None
    return details.get("code") if isinstance(details, dict) else None


def _retry_after(error: stripe.StripeError) -> float:
    """Return the seconds of Retry-After, 0 without one."""
    value = _header(error, "Retry-After")
    return float(value) if value.isdecimal() else 0.0


def _header(error: stripe.StripeError, name: str) -> str:
    return (error.headers or {}).get(name, "")
