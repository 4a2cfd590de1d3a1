"""What becomes of the fee when an application is withdrawn."""

from __future__ import annotations

import uuid

from payments import checkout, refunds
from payments.models import PAYABLE, Payment, PaymentState


def end_open_checkout(*, application_id: uuid.UUID) -> Payment | None:
    """End the application's checkout at the provider; return the payment as it was before.

    No transaction may be open. What was paid there in the last moment is taken over.
    """
    payment = Payment.objects.filter(application_id=application_id).first()
    if payment is not None and payment.session_id and payment.state in PAYABLE:
        checkout.end_checkout(payment, payment.session_id)
    return payment


def close_payment(payment: Payment) -> None:
    """Pay back what was paid, or note that nothing will be. Called in a transaction.

    `payment` is what `end_open_checkout` returned. A checkout that was made since is ended too. The
    next check stays: it finds money that is on its way, and stops if there is none.
    """
    current = Payment.objects.select_for_update().get(pk=payment.pk)
    refunds.refund_payment(current, reason="The application was withdrawn.")
    if current.state in {PaymentState.PAID, PaymentState.REFUNDED}:
        return
    if current.session_id and current.session_id != payment.session_id:
        checkout.abandon_checkout(current, current.session_id)
    current.state = PaymentState.CANCELLED
    current.save()
