"""A process that dies between the mail server's acceptance and our commit, for real."""

from __future__ import annotations

import pytest
from django.conf import settings as django_settings

from notifications.models import Mail, Occasion
from outbox.models import Outcome
from tests.dying import deliver_and_die, let_lease_run_out
from tests.factories import ApplicationFactory
from tests.notifications.rows import publish
from tests.outbox.rows import outcomes
from tests.working import work_off


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("line", ["before", "after"])
def test_mail_of_a_killed_process_is_sent_again_with_the_same_message_id(tmp_path, mailbox, line):
    row = publish(ApplicationFactory.create(), Occasion.RECEIVED)

    deliver_and_die(
        row,
        at="notifications.services.record",
        when=line,
        state_dir=tmp_path,
        environment={
            "EMAIL_HOST": str(django_settings.EMAIL_HOST),
            "EMAIL_PORT": str(django_settings.EMAIL_PORT),
        },
    )

    assert len(mailbox.messages) == 1
    assert not Mail.objects.exists()
    let_lease_run_out()
    assert work_off() == [Outcome.SUCCEEDED]
    row.refresh_from_db()
    assert row.state == "delivered"
    assert outcomes(row) == [(1, "lease_expired"), (2, "succeeded")]
    (mail,) = Mail.objects.all()
    assert [message["Message-ID"] for message in mailbox.messages] == [mail.message_id] * 2
