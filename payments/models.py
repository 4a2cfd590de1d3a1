"""The payment of an application's fee, and what the provider told us about it."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from applications.models import Application


class PaymentState(models.TextChoices):
    PROCESSING = "processing", _("being prepared")  # the provider has been or will be asked
    AWAITING = "awaiting", _("due")  # the student can pay at `checkout_url`
    FAILED = "failed", _("declined")  # the last try was declined; the checkout is still open
    PAID = "paid", _("paid")


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
    checkout_url = models.URLField(_("checkout"), max_length=500, blank=True, default="")
    checkout_expires_at = models.DateTimeField(_("checkout expires"), null=True, blank=True)
    provider_reference = models.CharField(
        _("provider's reference"), max_length=200, blank=True, default=""
    )
    created_at = models.DateTimeField(_("created"), db_default=Now())
    paid_at = models.DateTimeField(_("paid"), null=True, blank=True)

    class Meta:
        verbose_name = _("payment")
        verbose_name_plural = _("payments")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state="paid", paid_at__isnull=False)
                | ~models.Q(state="paid") & models.Q(paid_at__isnull=True),
                name="payment_paid_has_time",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def idempotency_key(self) -> str:
        """The key towards the provider: the same in every attempt, another for each checkout."""
        return f"checkout:{self.id}:{self.checkout_number}"


class ProviderEvent(models.Model):
    """A webhook of the provider whose signature was right, as it came in.

    `payment` and `outcome` are filled in when it has been worked off.
    """

    class Outcome(models.TextChoices):
        RECEIVED = "received", _("received")
        APPLIED = "applied", _("applied")
        IGNORED = "ignored", _("changed nothing")
        MISMATCH = "mismatch", _("does not fit the payment")

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
    received_at = models.DateTimeField(_("received"), db_default=Now())

    class Meta:
        verbose_name = _("provider event")
        verbose_name_plural = _("provider events")
        constraints = [
            # The provider repeats events; each has one effect.
            models.UniqueConstraint(fields=["provider", "event_id"], name="provider_event_once"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"
