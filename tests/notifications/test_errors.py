"""Errors that no server of the other tests makes."""

from __future__ import annotations

import errno
import smtplib
import socket
import ssl

import pytest
from anymail.exceptions import (
    AnymailConfigurationError,
    AnymailRequestsAPIError,
    AnymailUnsupportedFeature,
)
from requests import ConnectTimeout, ReadTimeout

from notifications.errors import MailPutOff, MailRefused, MailServerUnavailable, class_of


def refused(*codes: int) -> Exception:
    return smtplib.SMTPRecipientsRefused({f"{code}@example.com": (code, b"no") for code in codes})


def api_error(cause: type[Exception]) -> Exception:
    """An error of an API as anymail makes it: of its own class and of that of the cause."""
    return type("ApiError", (AnymailRequestsAPIError, cause), {})("Error posting")


@pytest.mark.parametrize(
    ("error", "classed"),
    [
        (smtplib.SMTPConnectError(554, "No service"), MailServerUnavailable),
        (smtplib.SMTPHeloError(550, "Who are you?"), MailServerUnavailable),
        (smtplib.SMTPAuthenticationError(454, b"Not now"), MailServerUnavailable),
        (smtplib.SMTPServerDisconnected("gone"), None),
        (smtplib.SMTPDataError(-1, b"no reply at all"), None),
        (refused(550, 551), MailRefused),
        (refused(550, 451), MailPutOff),
        (refused(550, 421), MailServerUnavailable),
        (ssl.SSLError("wrong version number"), MailServerUnavailable),
        (socket.gaierror("unknown name"), MailServerUnavailable),
        (OSError(errno.EHOSTUNREACH, "no route"), MailServerUnavailable),
        (ConnectionRefusedError("refused"), MailServerUnavailable),
        (ConnectionResetError("reset"), None),
        (TimeoutError("timed out"), None),
        (api_error(ReadTimeout), None),
        (api_error(ConnectTimeout), MailServerUnavailable),
        (AnymailConfigurationError("no token"), MailServerUnavailable),
        (AnymailUnsupportedFeature("no headers"), MailRefused),
        (ValueError("a bug"), None),
    ],
)
def test_error_is_classed_by_what_it_means_for_the_mail(error, classed):
    result = class_of(error)

    assert (type(result) if result else None) is classed
