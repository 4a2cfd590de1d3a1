from __future__ import annotations

import json
import logging
import socket
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from payments.providers import (
    ProviderError,
    ProviderRejected,
    ProviderUnavailable,
    stripe_client,
)
from tests.payments.sandbox_service import receiving
from tests.payments.stripe_fake import StripeFake, running_stripe
from tests.payments.stripe_fake.objects import API_VERSION
from tests.payments.stripe_orders import checkout_request, provider_at

UNUSED_PORT = 9


@pytest.fixture
def fake() -> Iterator[StripeFake]:
    with running_stripe() as fake:
        yield fake


def error_at(url: str, *, api_key: str = "sk_test_any") -> ProviderError:
    """Return how a call to `url` fails."""
    with pytest.raises(ProviderError) as caught:
        provider_at(url, api_key=api_key).create_checkout(checkout_request())
    return caught.value


@contextmanager
def breaking_off(server: socket.socket) -> Iterator[None]:
    """Read the first request that comes to `server` and hang up."""

    def hang_up() -> None:
        connection, _address = server.accept()
        with connection:
            connection.recv(65536)

    thread = threading.Thread(target=hang_up)
    thread.start()
    yield
    thread.join()


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, None, ProviderRejected),
        (400, "rate_limit", ProviderUnavailable),
        (401, None, ProviderRejected),
        (402, None, ProviderRejected),
        (403, None, ProviderRejected),
        (404, None, ProviderRejected),
        (409, None, ProviderError),
        (429, None, ProviderUnavailable),
        (429, "lock_timeout", ProviderError),
        (500, None, ProviderUnavailable),
        (503, None, ProviderUnavailable),
    ],
)
def test_errors_say_whether_to_try_again(
    fake: StripeFake, status: int, code: str | None, kind: type[ProviderError]
) -> None:
    fake.faults.refuse(status, code=code)

    assert type(error_at(fake.url)) is kind
    assert fake.server.requests == [("POST", "/v1/checkout/sessions")]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("header", "seconds"), [(None, 0.0), (7, 7.0)])
def test_unavailable_says_how_long_stripe_wants_to_be_left_alone(
    fake: StripeFake, status: int, header: int | None, seconds: float
) -> None:
    fake.faults.refuse(status, retry_after=header)

    error = error_at(fake.url)

    assert isinstance(error, ProviderUnavailable)
    assert error.retry_after_seconds == seconds


def test_refused_requests_leave_the_key_unused(fake: StripeFake) -> None:
    fake.faults.refuse(429)
    fake.faults.refuse(500)
    provider = provider_at(fake.url)
    for _ in range(2):
        with pytest.raises(ProviderUnavailable):
            provider.create_checkout(checkout_request())

    checkout = provider.create_checkout(checkout_request())

    assert list(fake.store.sessions) == [checkout.session_id]


def test_server_error_that_the_key_got_for_good_is_not_tried_for_ever(fake: StripeFake) -> None:
    fake.faults.crash()
    provider = provider_at(fake.url)

    with pytest.raises(ProviderUnavailable):
        provider.create_checkout(checkout_request())
    with pytest.raises(ProviderRejected, match="500"):
        provider.create_checkout(checkout_request())


def test_refused_connection_is_unavailable() -> None:
    error = error_at(f"http://127.0.0.1:{UNUSED_PORT}")

    assert type(error) is ProviderUnavailable
    assert str(error) == "Stripe refuses connections."


def test_connection_that_breaks_before_the_answer_may_have_acted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, breaking_off(server):
        error = error_at(f"http://127.0.0.1:{server.getsockname()[1]}")

    assert type(error) is ProviderError


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [
        (200, b"<html>", ProviderError),
        (200, b"\xff", ProviderError),
        (200, b"[]", ProviderError),
        (200, b'"text"', ProviderError),
        (200, b"{}", ProviderError),
        (200, b'{"id": "cs_1", "url": null, "expires_at": 1}', ProviderError),
        (200, b'{"id": "cs_1", "url": "https://x", "expires_at": "1"}', ProviderError),
        (302, b"", ProviderError),
        (404, b"<html>", ProviderRejected),
        (502, b"<html>", ProviderUnavailable),
        (502, b"[]", ProviderUnavailable),
    ],
)
def test_answers_that_are_not_stripes(
    status: int, answer: bytes, kind: type[ProviderError]
) -> None:
    with receiving(status, answer=answer) as server:
        assert type(error_at(server.url)) is kind


def test_call_that_has_used_up_its_time_asks_no_more(
    fake: StripeFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stripe_client, "CALL_SECONDS", 0.0)

    assert str(error_at(fake.url)) == "Stripe takes too long."
    assert fake.server.requests == []


def test_variables_for_proxies_are_left_alone(
    fake: StripeFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{UNUSED_PORT}")

    checkout = provider_at(fake.url).create_checkout(checkout_request())

    assert list(fake.store.sessions) == [checkout.session_id]


@pytest.mark.parametrize(
    "api_key",
    ["", "sk_live_SECRET", "sk_live_SECRET\n", " sk_live_SECRET", "sk_live_SECRET\x00é"],
)
def test_key_is_in_no_error_and_no_log(
    fake: StripeFake, caplog: pytest.LogCaptureFixture, api_key: str
) -> None:
    caplog.set_level(logging.DEBUG)

    error = error_at(fake.url, api_key=api_key)
    logging.getLogger("tests").exception("call failed", exc_info=error)

    assert type(error) is ProviderRejected
    assert "SECRET" not in "".join(traceback.format_exception(error))
    assert "SECRET" not in caplog.text
    assert "call failed" in caplog.text


def test_nothing_is_told_about_this_machine(fake: StripeFake) -> None:
    provider_at(fake.url).create_checkout(checkout_request())

    (headers,) = fake.server.headers
    told = json.loads(headers["X-Stripe-Client-User-Agent"])
    assert set(told) & {"platform", "telemetry_id"} == set()
    assert headers["Stripe-Version"] == API_VERSION
