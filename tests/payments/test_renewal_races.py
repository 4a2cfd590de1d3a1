"""Tabs that come to pay at the same time when the checkout has expired."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from payments import checkout, providers
from payments.models import Payment
from tests.payments.sandbox_service import Sandbox
from tests.waiting import PATIENCE

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def expired(payment: Payment) -> Payment:
    Payment.objects.update(checkout_expires_at="2020-01-01T00:00:00Z")
    return payment


def open_checkout(payment: Payment) -> str:
    try:
        return checkout.open_checkout(application_id=payment.application_id)
    finally:
        connection.close()


def test_tabs_at_the_same_moment_get_the_same_new_checkout(expired, provider: Sandbox):
    barrier = threading.Barrier(4)

    def tab(_: int) -> str:
        barrier.wait()
        return open_checkout(expired)

    with ThreadPoolExecutor(4) as pool:
        urls = set(pool.map(tab, range(4)))

    expired.refresh_from_db()
    assert urls == {expired.checkout_url}
    assert expired.checkout_number == 2
    assert expired.checkout_url.startswith(provider.url)


def test_a_tab_that_comes_while_another_renews_does_not_renew_again(
    expired, provider: Sandbox, monkeypatch
):
    """The other tab has raised the number, and has not recorded the new checkout yet."""
    first_has_asked, second_is_done = threading.Event(), threading.Event()
    request_checkout = checkout.request_checkout

    def slow(payment: Payment) -> providers.Checkout:
        made = request_checkout(payment)
        if threading.current_thread().name.startswith("first"):
            first_has_asked.set()
            assert second_is_done.wait(PATIENCE)
        return made

    monkeypatch.setattr(checkout, "request_checkout", slow)
    with ThreadPoolExecutor(1, thread_name_prefix="first") as pool:
        first = pool.submit(open_checkout, expired)
        assert first_has_asked.wait(PATIENCE)
        second = checkout.open_checkout(application_id=expired.application_id)
        second_is_done.set()

    expired.refresh_from_db()
    assert first.result() == second == expired.checkout_url
    assert expired.checkout_number == 2
