"""Mails that are not wanted any more when their turn comes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core import mail
from django.db.models.functions import Now

from applications.models import Application, ApplicationFile
from notifications.models import Mail, Occasion
from outbox.models import Outcome
from tests.notifications.rows import publish
from tests.working import work_off

pytestmark = pytest.mark.django_db


def withdraw() -> None:
    Application.objects.update(withdrawn_at=Now(), status="withdrawn")


def pay() -> None:
    Application.objects.update(payment="paid")


def pay_back() -> None:
    Application.objects.update(payment="refunded")


def replace() -> None:
    ApplicationFile.objects.filter(name="bad.pdf").update(replaced_at=Now())


def accept() -> None:
    ApplicationFile.objects.filter(name="bad.pdf").update(state="verified")


@pytest.mark.parametrize(
    ("occasion", "meanwhile"),
    [
        (Occasion.ACTION_NEEDED, withdraw),
        (Occasion.ACTION_NEEDED, replace),
        (Occasion.ACTION_NEEDED, accept),
        (Occasion.PAY_NOW, withdraw),
        (Occasion.PAY_NOW, pay),
        (Occasion.PAY_NOW, pay_back),
        (Occasion.PAYMENT_FAILED, withdraw),
        (Occasion.PAYMENT_FAILED, pay),
        (Occasion.PAYMENT_FAILED, pay_back),
    ],
)
def test_mail_that_came_too_late_is_not_sent(
    application: Application, occasion: Occasion, meanwhile: Callable[[], None]
):
    publish(application, occasion)
    meanwhile()

    assert work_off() == [Outcome.SUCCEEDED]

    assert (mail.outbox, Mail.objects.count()) == ([], 0)


@pytest.mark.parametrize("occasion", [Occasion.WITHDRAWN, Occasion.REFUNDED])
def test_mail_about_a_withdrawal_is_sent_after_it(application: Application, occasion: Occasion):
    publish(application, occasion)
    withdraw()
    pay_back()

    assert work_off() == [Outcome.SUCCEEDED]

    assert len(mail.outbox) == 1
