"""What Stripe knows: sessions, payments, charges and refunds, and the events about them."""

from __future__ import annotations

import threading
from copy import deepcopy
from typing import Any

from tests.payments.stripe_fake import objects
from tests.payments.stripe_fake.errors import ApiError, no_such
from tests.payments.stripe_fake.params import check_session, metadata, money

Object = dict[str, Any]
NO_MONEY_BACK = {"failed", "canceled"}


class Store:
    """All in memory. Whoever reads or changes it holds `lock`."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.sessions: dict[str, Object] = {}
        self.intents: dict[str, Object] = {}
        self.charges: dict[str, Object] = {}
        self.refunds: dict[str, Object] = {}
        self.events: list[Object] = []
        self.intent_metadata: dict[str, dict[str, str]] = {}  # by session, for its payment
        self.refund_status = "succeeded"  # what a new refund is

    def record(self, type: str, about: Object, before: Object | None = None) -> Object:
        """Keep an event about an object as it is now."""
        event = objects.event(type, deepcopy(about), before)
        self.events.append(event)
        return event

    # What the API does.

    def create_session(self, params: dict[str, str]) -> Object:
        check_session(params)
        session = objects.session(params)
        self.sessions[session["id"]] = session
        self.intent_metadata[session["id"]] = metadata(params, "payment_intent_data[metadata]")
        return session

    def session(self, id: str) -> Object:
        if id not in self.sessions:
            raise no_such("checkout.session", id, "session")
        return self.sessions[id]

    def expire_session(self, id: str) -> Object:
        session = self.session(id)
        if session["status"] != "open":
            raise ApiError(
                400,
                'Only Checkout Sessions with a status in ["open"] can be expired.'
                f" This Checkout Session has a status of `{session['status']}`.",
                executed=True,
            )
        session |= {"status": "expired", "url": None}
        self.record("checkout.session.expired", session)
        return session

    def create_refund(self, params: dict[str, str]) -> Object:
        intent = self.intents.get(params["payment_intent"])
        if intent is None:
            raise no_such("payment_intent", params["payment_intent"], "payment_intent")
        charge = self.charges.get(intent["latest_charge"] or "")
        if charge is None:
            raise ApiError(
                400,
                f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.",
                executed=True,
            )
        left = charge["amount_captured"] - charge["amount_refunded"]
        amount = money(params, "amount", charge["currency"]) if "amount" in params else left
        self._check_refundable(charge, amount, left)
        return self._add_refund(charge, amount, metadata(params))

    def _check_refundable(self, charge: Object, amount: int, left: int) -> None:
        if left == 0:
            raise ApiError(
                400,
                f"Charge {charge['id']} has already been refunded.",
                code="charge_already_refunded",
                executed=True,
            )
        if amount > left:
            raise ApiError(
                400,
                f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})",
                param="amount",
                executed=True,
            )

    def _add_refund(self, charge: Object, amount: int, metadata: dict[str, str]) -> Object:
        refund = objects.refund(charge, amount, metadata, self.refund_status)
        self.refunds[refund["id"]] = refund
        self.count_refunds(charge)
        self.record("refund.created", refund)
        self.record("charge.refunded", charge)
        return refund

    def refund(self, id: str) -> Object:
        if id not in self.refunds:
            raise no_such("refund", id, "refund")
        return self.refunds[id]

    def count_refunds(self, charge: Object) -> None:
        """Bring a charge up to date with its refunds; what failed can be paid back again."""
        refunds = [each for each in self.refunds.values() if each["charge"] == charge["id"]]
        charge["amount_refunded"] = sum(
            each["amount"] for each in refunds if each["status"] not in NO_MONEY_BACK
        )
        charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]

    def expanded(self, session: Object, params: dict[str, str]) -> Object:
        """Return a session with the objects in it that the request asked for."""
        if params.get("expand[0]") == "payment_intent" and session["payment_intent"]:
            return session | {"payment_intent": self.intents[session["payment_intent"]]}
        return session
