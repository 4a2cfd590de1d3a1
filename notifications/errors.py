"""What an error of the mail server, or of a provider's API, means for a mail.

| error | class | what becomes of the mail |
|---|---|---|
| nobody is served: 421, no connection, sign-in refused, wrong settings; HTTP 401, 403, 429, 5xx | `MailServerUnavailable` | tried again; several in a row open the queue's breaker |
| this mail is refused for good: SMTP 5xx, other HTTP 4xx | `MailRefused` | dead letter at once |
| not now: SMTP 4xx | `MailPutOff` | tried again |
| anything else: a time-out, a broken connection | as it is | tried again |
"""

from __future__ import annotations

import errno
import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.exceptions import ImproperlyConfigured

from outbox.exceptions import PermanentError, Unavailable

# RFC 5321: the server closes. RFC 4954: we must sign in, in another way, or with other words. No
# mail is at fault.
SERVES_NOBODY = frozenset({421, 530, 534, 535, 538})
UNREACHABLE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH})
# A provider's API: our key is wrong or may not do this; too many requests.
API_SERVES_NOBODY = frozenset({401, 403, 429})


class MailServerUnavailable(Unavailable):
    """The mail server serves nobody just now, or not us."""


class MailRefused(PermanentError):
    """The recipient, the sender or the content of this mail was refused for good."""


class MailPutOff(Exception):
    """The server does not take this mail now, but may take it later."""


@contextmanager
def classed_errors() -> Iterator[None]:
    """Raise what goes wrong while a mail is sent in the body as one of this module's classes.

    What says nothing about a retry passes as it is.
    """
    try:
        yield
    except Exception as error:
        classed = class_of(error)
        if classed is None:
            raise
        raise classed from error


def class_of(error: Exception) -> Exception | None:
    """Return the error as one of this module's classes; None if it is none of them."""
    if isinstance(error, smtplib.SMTPException):
        return _of_smtp(error)
    if _is_no_connection(error) or isinstance(error, ImproperlyConfigured):
        return MailServerUnavailable(str(error))
    return _of_provider(error)


def _is_no_connection(error: Exception) -> bool:
    no_connection = (ConnectionRefusedError, socket.gaierror, ssl.SSLError)
    return isinstance(error, no_connection) or (
        isinstance(error, OSError) and error.errno in UNREACHABLE
    )


def _of_smtp(error: smtplib.SMTPException) -> Exception | None:
    replies = _replies(error)
    codes = {code for code, _ in replies}
    text = "; ".join(f"{code} {reply}" for code, reply in replies) or str(error)
    # It greets us with a refusal, or does not offer what our settings ask for.
    at_the_door = (
        smtplib.SMTPConnectError,
        smtplib.SMTPHeloError,
        smtplib.SMTPAuthenticationError,
        smtplib.SMTPNotSupportedError,
    )
    if isinstance(error, at_the_door) or codes & SERVES_NOBODY:
        return MailServerUnavailable(text)
    if codes and all(500 <= code <= 599 for code in codes):
        return MailRefused(text)
    if codes and all(400 <= code <= 599 for code in codes):
        return MailPutOff(text)
    return None


def _replies(error: smtplib.SMTPException) -> list[tuple[int, str]]:
    """Return the server's replies that the error carries, as code and text."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return [(code, _text(reply)) for code, reply in error.recipients.values()]
    if isinstance(error, smtplib.SMTPResponseException):
        return [(error.smtp_code, _text(error.smtp_error))]
    return []


def _text(reply: bytes | str) -> str:
    return reply.decode(errors="replace") if isinstance(reply, bytes) else reply


def _of_provider(error: Exception) -> Exception | None:
    # Loads `requests`, a quarter of a second: only where there is an error to look at.
    from anymail import exceptions as anymail  # noqa: PLC0415
    from requests import ReadTimeout  # noqa: PLC0415

    if isinstance(error, anymail.AnymailAPIError):
        if isinstance(error, ReadTimeout):
            return None  # slow is not away
        return _of_answer(error, error.status_code)
    if isinstance(error, anymail.AnymailError):
        return MailRefused(str(error))
    return None


def _of_answer(error: Exception, status: int | None) -> Exception | None:
    """Class a provider's answer by its HTTP status; None is the status of no answer at all."""
    if status is None or status in API_SERVES_NOBODY or status >= 500:
        return MailServerUnavailable(str(error), retry_after_seconds=_retry_after(error))
    return MailRefused(str(error)) if status >= 400 else None


def _retry_after(error: Exception) -> float:
    """Return the seconds of Retry-After; 0 without one, or for a date, which no provider sends."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    value = headers.get("Retry-After", "")
    return float(value) if value.isdecimal() else 0.0
