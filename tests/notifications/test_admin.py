"""The staff's page of mails."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.factories import MailFactory, UserFactory

pytestmark = pytest.mark.django_db

URL = "/admin/notifications/mail/"


@pytest.fixture
def admin(client: Client, staff) -> Client:
    client.force_login(staff)
    return client


def test_mails_that_were_not_sent_are_found_by_their_state(admin):
    withheld = MailFactory.create(withheld=True)
    MailFactory.create()

    found = admin.get(URL, {"state__exact": "not_sent"})

    assert [mail.pk for mail in found.context["cl"].result_list] == [withheld.pk]
    row = found.content.decode().partition("<tbody")[2]
    assert "550 No such mailbox" in row
    assert "not sent" in row


def test_mail_leads_to_the_dead_letters_of_its_application(admin):
    mail = MailFactory.create(withheld=True)

    answer = admin.get(f"{URL}{mail.pk}/dead-letters/")

    assert answer.headers["Location"] == f"/admin/outbox/deadletter/?q={mail.application_id}"


def test_dead_letters_of_a_mail_are_for_staff_who_may_see_mails(client):
    client.force_login(UserFactory.create(is_staff=True))
    mail = MailFactory.create(withheld=True)

    assert client.get(f"{URL}{mail.pk}/dead-letters/").status_code == 403
