"""Payments in the admin: what was captured and paid back; staff pay back and settle."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.test import Client

from accounts.models import User
from outbox.models import Outbox
from payments.models import Charge, Payment, ProviderEvent, Refund
from tests.factories import ChargeFactory, ProviderEventFactory, RefundFactory, StaffFactory

pytestmark = pytest.mark.django_db

PAYMENTS = "/admin/payments/payment/"
EVENTS = "/admin/payments/providerevent/"


def person(*permissions: str) -> User:
    user: User = StaffFactory.create(is_superuser=False)
    codenames = ["view_payment", "view_charge", "view_providerevent", *permissions]
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


@pytest.fixture
def cashier(client: Client) -> User:
    """Somebody who may see refunds, pay back and settle, signed in."""
    user = person("view_refund", "refund_payment", "settle_providerevent")
    client.force_login(user)
    return user


@pytest.fixture
def charge(db: None) -> Charge:
    return ChargeFactory.create(provider_reference="the-payment")


def page_url(payment: Payment) -> str:
    return f"{PAYMENTS}{payment.pk}/change/"


def refund_url(payment: Payment) -> str:
    return f"{PAYMENTS}{payment.pk}/refund/"


def settle_url(*ids: object) -> str:
    return f"{EVENTS}settle/?ids={','.join(map(str, ids))}"


def said(response: Any) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


def refunds() -> list[tuple[Any, ...]]:
    return list(Refund.objects.order_by("pk").values_list("charge", "amount", "reason", "state"))


def outcomes() -> list[tuple[Any, ...]]:
    fields = ("outcome", "settled_by", "settled_reason")
    return list(ProviderEvent.objects.order_by("pk").values_list(*fields))


def test_payment_page_shows_charges_refunds_and_events(client, cashier, charge):
    surplus = ChargeFactory.create(
        payment=charge.payment, is_surplus=True, amount=700, refunded_amount=700
    )
    RefundFactory.create(charge=surplus, amount=700, reason="The fee was paid twice.")
    RefundFactory.create(charge=surplus, amount=701, state="failed", reason="<b>by hand</b>")
    event = ProviderEventFactory.create(payment=charge.payment)
    RefundFactory.create(reason="of another payment")

    page = client.get(page_url(charge.payment)).content.decode()

    for text in (
        "the-payment",
        "nothing: the fee was paid already",
        "7.00 USD",
        "The fee was paid twice.",
        "7.01 USD",
        "failed",
        "&lt;b&gt;by hand&lt;/b&gt;",
        event.event_id,
    ):
        assert text in page
    assert "of another payment" not in page


def test_refunds_are_for_who_may_see_them(client, charge):
    RefundFactory.create(charge=charge, reason="The fee was paid twice.")
    client.force_login(person())

    page = client.get(page_url(charge.payment)).content.decode()

    assert "the-payment" in page
    assert "The fee was paid twice." not in page


def test_all_that_is_left_is_paid_back_with_a_reason(client, cashier, charge):
    partly = ChargeFactory.create(payment=charge.payment, is_surplus=True, refunded_amount=4000)
    done = ChargeFactory.create(payment=charge.payment, is_surplus=True, refunded_amount=5000)
    of_another = ChargeFactory.create()

    asked = client.get(f"{PAYMENTS}{charge.payment_id}/pay-back/")
    question = client.get(asked["Location"])
    response = client.post(asked["Location"], {"reason": "The student moved away."})

    assert asked["Location"] == refund_url(charge.payment)
    assert question.context["rows"] == [
        (charge, "50.00 USD", "50.00 USD"),
        (partly, "50.00 USD", "10.00 USD"),
    ]
    assert (response.status_code, response["Location"]) == (302, page_url(charge.payment))
    assert said(response) == ["60.00 USD will be paid back."]
    assert refunds() == [
        (charge.pk, 5000, "The student moved away.", "requested"),
        (partly.pk, 1000, "The student moved away.", "requested"),
    ]
    counted = Charge.objects.order_by("pk").values_list("pk", "refunded_amount")
    assert list(counted) == [
        (charge.pk, 5000),
        (partly.pk, 5000),
        (done.pk, 5000),
        (of_another.pk, 0),
    ]
    wanted = Outbox.objects.filter(event_type="refund_requested").order_by("pk")
    assert [row.payload for row in wanted] == [
        {"refundId": pk} for pk in Refund.objects.order_by("pk").values_list("pk", flat=True)
    ]


def test_who_had_it_paid_back_is_in_the_history(client, cashier, charge):
    client.post(refund_url(charge.payment), {"reason": "The student moved away."})

    (entry,) = LogEntry.objects.values("user", "object_id", "change_message")
    assert entry == {
        "user": cashier.pk,
        "object_id": str(charge.payment_id),
        "change_message": "Asked to pay back 50.00 USD: The student moved away.",
    }


def test_a_failed_refund_can_be_asked_for_again(client, cashier, charge):
    RefundFactory.create(charge=charge, state="failed", reason="first")

    assert f"{charge.payment_id}/pay-back/" in client.get(page_url(charge.payment)).content.decode()
    client.post(refund_url(charge.payment), {"reason": "again"})

    assert refunds() == [
        (charge.pk, 5000, "first", "failed"),
        (charge.pk, 5000, "again", "requested"),
    ]


def test_nothing_is_paid_back_twice(client, cashier, charge):
    answers = [client.post(refund_url(charge.payment), {"reason": "x"}) for _ in range(2)]

    nothing = "Nothing is left to be paid back; somebody may have asked before you."
    # A message that was not shown yet is kept.
    assert [said(answer)[-1] for answer in answers] == ["50.00 USD will be paid back.", nothing]
    assert (refunds(), LogEntry.objects.count()) == ([(charge.pk, 5000, "x", "requested")], 1)
    question = client.get(refund_url(charge.payment))
    assert "Nothing is left to be paid back." in question.content.decode()
    assert "/pay-back/" not in client.get(page_url(charge.payment)).content.decode()


@pytest.mark.parametrize("reason", ["", "  ", "x" * 201])
def test_nothing_is_paid_back_without_a_good_reason(client, cashier, charge, reason):
    response = client.post(refund_url(charge.payment), {"reason": reason})

    assert list(response.context["form"].errors) == ["reason"]
    assert refunds() == []


def test_a_look_at_the_question_pays_nothing_back(client, cashier, charge):
    client.get(f"{PAYMENTS}{charge.payment_id}/pay-back/", follow=True)

    assert refunds() == []


def test_who_may_only_look_pays_nothing_back(client, charge):
    client.force_login(person("view_refund", "settle_providerevent"))

    assert "/pay-back/" not in client.get(page_url(charge.payment)).content.decode()
    assert client.get(f"{PAYMENTS}{charge.payment_id}/pay-back/").status_code == 403
    assert client.get(refund_url(charge.payment)).status_code == 403
    assert client.post(refund_url(charge.payment), {"reason": "mine"}).status_code == 403
    assert refunds() == []


def test_held_events_are_settled_with_a_reason(client, cashier):
    first, second, left = ProviderEventFactory.create_batch(3, held=True)

    asked = client.post(EVENTS, {"action": "settle", "_selected_action": [first.pk, second.pk]})
    assert client.get(asked["Location"]).status_code == 200
    response = client.post(asked["Location"], {"reason": "Paid back at the provider."})

    assert (response.status_code, response["Location"]) == (302, EVENTS)
    assert said(response) == ["2 events are settled."]
    settled = ("settled", cashier.pk, "Paid back at the provider.")
    assert outcomes() == [settled, settled, ("mismatch", None, "")]
    page = client.get(f"{EVENTS}{first.pk}/change/").content.decode()
    assert "Paid back at the provider." in page


def test_one_held_event_is_settled_from_its_page(client, cashier):
    event = ProviderEventFactory.create(held=True)

    assert (
        f"{EVENTS}{event.pk}/settle/" in client.get(f"{EVENTS}{event.pk}/change/").content.decode()
    )
    asked = client.get(f"{EVENTS}{event.pk}/settle/")

    assert asked["Location"] == settle_url(event.pk)
    assert outcomes() == [("mismatch", None, "")]


@pytest.mark.parametrize("outcome", ["received", "applied", "ignored", "settled"])
def test_what_is_not_held_is_left_alone(client, cashier, outcome):
    event = ProviderEventFactory.create(outcome=outcome)

    response = client.post(settle_url(event.pk), {"reason": "mine"})

    why = f"{event.event_id} is not held: it fitted, or a colleague has settled it."
    assert said(response) == [why]
    assert outcomes() == [(outcome, None, "")]
    assert "/settle/" not in client.get(f"{EVENTS}{event.pk}/change/").content.decode()


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
def test_nothing_is_settled_without_a_good_reason(client, cashier, reason):
    event = ProviderEventFactory.create(held=True)

    response = client.post(settle_url(event.pk), {"reason": reason})

    assert list(response.context["form"].errors) == ["reason"]
    assert outcomes() == [("mismatch", None, "")]


def test_who_may_only_look_settles_nothing(client):
    event = ProviderEventFactory.create(held=True)
    client.force_login(person("refund_payment"))

    assert 'value="settle"' not in client.get(EVENTS).content.decode()
    assert client.get(settle_url(event.pk)).status_code == 403
    assert client.post(settle_url(event.pk), {"reason": "mine"}).status_code == 403
    assert client.get(f"{EVENTS}{event.pk}/settle/").status_code == 403
    assert outcomes() == [("mismatch", None, "")]


@pytest.mark.parametrize("ids", ["", "abc", "0", "-1", "1,,2", "9" * 30, "٣"])
def test_ids_that_name_no_event_do_nothing(client, cashier, ids):
    assert client.get(f"{EVENTS}settle/?ids={ids}").status_code == 200
    assert client.post(f"{EVENTS}settle/?ids={ids}", {"reason": "x"}).status_code == 302


@pytest.mark.parametrize("page", [PAYMENTS, EVENTS])
def test_an_odd_address_leads_back(client, cashier, page):
    assert client.get(f"{page}abc/change/").status_code == 302
