from __future__ import annotations

import pytest

from notifications.checks import backend_can_be_made

SMTP = "django.core.mail.backends.smtp.EmailBackend"
POSTMARK = "anymail.backends.postmark.EmailBackend"


@pytest.mark.parametrize(
    "wrong",
    [
        {"EMAIL_BACKEND": "mail.backends.none.EmailBackend"},
        {"EMAIL_BACKEND": "django.core.mail.backends.smtp.Backend"},
        {"EMAIL_BACKEND": SMTP, "EMAIL_USE_TLS": True, "EMAIL_USE_SSL": True},
        {"EMAIL_BACKEND": POSTMARK, "ANYMAIL": {}},
    ],
)
def test_settings_that_can_send_no_mail_stop_the_start(settings, wrong):
    for name, value in wrong.items():
        setattr(settings, name, value)

    assert [error.id for error in backend_can_be_made()] == ["notifications.E001"]


@pytest.mark.parametrize("backend", [SMTP, POSTMARK])
def test_settings_that_can_send_mails_pass(settings, backend):
    settings.EMAIL_BACKEND = backend
    settings.ANYMAIL = {"POSTMARK_SERVER_TOKEN": "secret"}

    assert backend_can_be_made() == []
