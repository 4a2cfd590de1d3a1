"""The payment of an application's fee, and what the provider told us about it."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from applications.models import Application


class PaymentState(models.TextChoices):
    PROCESSING = "processing", _("being prepared")  # the provider has been or will be asked
    AWAITING = "awaiting", _("due")  # the student can pay at `checkout_url`
    FAILED = "failed", _("declined")  # the last try was declined; the checkout is still open
    PAID = "paid", _("paid")
    REFUNDED = "refunded", _("refunded")
    CANCELLED = "cancelled", _("not wanted any more")  # withdrawn before it was paid


# States in which the student can pay.
PAYABLE = frozenset({PaymentState.AWAITING, PaymentState.FAILED})


class Payment(models.Model):
    """One fee of one application. What is compared with the provider's word is fixed here."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    application = models.OneToOneField(
        Application, on_delete=models.PROTECT, related_name="fee_payment"
    )
    provider = models.CharField(_("provider"), max_length=30)
    amount = models.PositiveIntegerField(_("amount"), help_text=_("In minor units."))
    currency = models.CharField(_("currency"), max_length=3)
    state = models.CharField(
        _("state"), max_length=15, choices=PaymentState, default=PaymentState.PROCESSING
    )
    # Rises when an expired checkout is renewed; a part of the provider's idempotency key.
    checkout_number = models.PositiveIntegerField(_("checkout number"), default=1)
    session_id = models.CharField(_("session"), max_length=200, blank=True, default="")
    checkout_url = models.URLField(_("checkout"), max_length=2000, blank=True, default="")
    checkout_expires_at = models.DateTimeField(_("checkout expires"), null=True, blank=True)
    # When to ask the provider whether it knows more than its webhooks have told us.
    check_at = models.DateTimeField(_("next check with the provider"), null=True, blank=True)
    # How often it was asked about the present checkout: the waits grow.
    check_count = models.PositiveSmallIntegerField(_("checks"), default=0, db_default=0)
    created_at = models.DateTimeField(_("created"), db_default=Now())
    paid_at = models.DateTimeField(_("paid"), null=True, blank=True)

    class Meta:
        verbose_name = _("payment")
        verbose_name_plural = _("payments")
        permissions = [("refund_payment", "Can pay back payment")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=["paid", "refunded"], paid_at__isnull=False)
                | ~models.Q(state__in=["paid", "refunded"]) & models.Q(paid_at__isnull=True),
                name="payment_paid_has_time",
            ),
        ]
        indexes = [
            # Read by reconciliation.publish_checks.
            models.Index(
                fields=["check_at"],
                condition=models.Q(check_at__isnull=False),
                name="payment_to_check",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def idempotency_key(self) -> str:
        """The key towards the provider: the same in every attempt, another for each checkout."""
        return f"checkout:{self.id}:{self.checkout_number}"


class Charge(models.Model):
    """Money that the provider has captured for a payment: one, if all goes well.

    A second one for the same payment is paid back. `refunded_amount` counts what refunds have paid
    back or are about to.
    """

    payment = models.ForeignKey(
        Payment, on_delete=models.PROTECT, related_name="charges", verbose_name=_("payment")
    )
    provider = models.CharField(_("provider"), max_length=30)
    provider_reference = models.CharField(_("provider's reference"), max_length=200)
    amount = models.PositiveIntegerField(_("amount"), help_text=_("In minor units."))
    refunded_amount = models.PositiveIntegerField(_("refunded"), default=0)
    # The first one pays the fee; every other one was too much.
    is_surplus = models.BooleanField(_("too much"), default=False)
    captured_at = models.DateTimeField(_("captured"), db_default=Now())

    class Meta:
        verbose_name = _("charge")
        verbose_name_plural = _("charges")
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "provider_reference"], name="charge_once_per_reference"
            ),
            models.UniqueConstraint(
                fields=["payment"], condition=models.Q(is_surplus=False), name="charge_one_pays"
            ),
            models.CheckConstraint(
                condition=models.Q(refunded_amount__lte=models.F("amount")),
                name="charge_not_over_refunded",
            ),
        ]
        indexes = [
            # Read by gauges.kept_fees.
            models.Index(
                fields=["id"],
                condition=models.Q(is_surplus=True, refunded_amount__lt=models.F("amount")),
                name="charge_surplus",
            ),
        ]

    def __str__(self) -> str:
        return self.provider_reference


class RefundState(models.TextChoices):
    REQUESTED = "requested", _("requested")  # the provider has been or will be asked
    PENDING = "pending", _("on its way")  # the provider has taken it and will tell how it ended
    SUCCEEDED = "succeeded", _("paid back")
    FAILED = "failed", _("failed")


class Refund(models.Model):
    """Money to be paid back of a charge. `provider_reference` is empty until the provider says it."""

    charge = models.ForeignKey(
        Charge, on_delete=models.PROTECT, related_name="refunds", verbose_name=_("charge")
    )
    amount = models.PositiveIntegerField(_("amount"), help_text=_("In minor units."))
    reason = models.CharField(_("reason"), max_length=200)
    state = models.CharField(
        _("state"), max_length=15, choices=RefundState, default=RefundState.REQUESTED
    )
    provider_reference = models.CharField(
        _("provider's reference"), max_length=200, blank=True, default=""
    )
    # Why the provider did not pay back, in its words or ours.
    problem = models.CharField(_("problem"), max_length=300, blank=True, default="")
    # When to ask the provider how a pending one has ended.
    check_at = models.DateTimeField(_("next check with the provider"), null=True, blank=True)
    created_at = models.DateTimeField(_("requested"), db_default=Now())
    settled_at = models.DateTimeField(_("settled"), null=True, blank=True)

    class Meta:
        verbose_name = _("refund")
        verbose_name_plural = _("refunds")
        constraints = [
            models.UniqueConstraint(
                fields=["charge", "provider_reference"],
                condition=~models.Q(provider_reference=""),
                name="refund_once_per_reference",
            ),
        ]
        indexes = [
            # Read by gauges.unsettled_refunds.
            models.Index(
                fields=["created_at"],
                condition=~models.Q(state="succeeded"),
                name="refund_not_succeeded",
            ),
            # Read by reconciliation.publish_checks.
            models.Index(
                fields=["check_at"],
                condition=models.Q(check_at__isnull=False),
                name="refund_to_check",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.charge}: {self.get_state_display()}"

    @property
    def idempotency_key(self) -> str:
        """The key towards the provider, the same in every attempt."""
        return f"refund:{self.pk}"


class ProviderEvent(models.Model):
    """What the provider told us: a webhook whose signature was right, or the answer to a check.

    `payment` and `outcome` are filled in when it has been worked off.
    """

    class Outcome(models.TextChoices):
        RECEIVED = "received", _("received")
        APPLIED = "applied", _("applied")
        IGNORED = "ignored", _("changed nothing")
        MISMATCH = "mismatch", _("does not fit the payment")  # held until staff have looked at it
        SETTLED = "settled", _("settled by staff")

    provider = models.CharField(_("provider"), max_length=30)
    event_id = models.CharField(_("event"), max_length=200)
    type = models.CharField(_("type"), max_length=30)
    payload = models.JSONField(_("payload"))
    payment = models.ForeignKey(
        Payment, on_delete=models.PROTECT, null=True, blank=True, related_name="events"
    )
    outcome = models.CharField(
        _("outcome"), max_length=15, choices=Outcome, default=Outcome.RECEIVED
    )
    settled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    settled_reason = models.CharField(
        _("how it was settled"), max_length=500, blank=True, default="", db_default=""
    )
    received_at = models.DateTimeField(_("received"), db_default=Now())

    class Meta:
        verbose_name = _("provider event")
        verbose_name_plural = _("provider events")
        constraints = [
            # The provider repeats events; each has one effect.
            models.UniqueConstraint(fields=["provider", "event_id"], name="provider_event_once"),
        ]
        indexes = [
            # Read by gauges.held_provider_events.
            models.Index(
                fields=["received_at"],
                condition=models.Q(outcome="mismatch"),
                name="provider_event_held",
            ),
        ]
        permissions = [("settle_providerevent", "Can settle a held provider event")]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"
