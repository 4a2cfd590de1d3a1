"""Making a mail: text and HTML from one template."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from email.utils import parseaddr

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from applications.models import Application
from notifications.occasions import LETTERS, Facts, Notice

# Characters that would start a new line, and those that turn the direction of what follows.
LINE_BREAKING = frozenset({"Cc", "Zl", "Zp"})
TURNING = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def compose(
    application: Application, notice: Notice, facts: Facts, *, message_id: str
) -> EmailMultiAlternatives:
    """Return the mail, ready to be sent to the one address of the application's student."""
    letter = LETTERS[notice.occasion]
    name, address = parseaddr(settings.DEFAULT_FROM_EMAIL)
    context = {
        **{key: _harmless(value) for key, value in facts.items()},
        "name": one_line(application.student.name),
        "subject": letter.subject,
        "action": letter.action,
        "url": settings.BASE_URL + letter.page.format(id=application.pk),
        "application_id": application.pk,
        "sender": name or address,
    }
    message = EmailMultiAlternatives(
        subject=str(letter.subject),
        body=_text(notice, context),
        to=[application.student.email],
        headers={
            "Message-ID": message_id,
            "Auto-Submitted": "auto-generated",
            # Without it Postmark gives every mail an id of its own; others pass it on unread.
            "X-PM-KeepID": "true",
        },
    )
    message.attach_alternative(_rendered(notice, context, "_layout.html"), "text/html")
    return message


def one_line(text: str) -> str:
    """Return words of a person or a file as they can stand in a line without changing others."""
    shown = (
        " " if unicodedata.category(character) in LINE_BREAKING else character
        for character in text
        if unicodedata.bidirectional(character) not in TURNING
    )
    return " ".join("".join(shown).split())


def _harmless(fact: str | list[str] | bool) -> str | list[str] | bool:
    if isinstance(fact, str):
        return one_line(fact)
    return [one_line(line) for line in fact] if isinstance(fact, list) else fact


def _text(notice: Notice, context: Mapping[str, object]) -> str:
    # What a template leaves out leaves its blank lines.
    text = re.sub(r"\n{3,}", "\n\n", _rendered(notice, context, "_layout.txt"))
    return f"{text.strip()}\n"


def _rendered(notice: Notice, context: Mapping[str, object], layout: str) -> str:
    return render_to_string(
        f"notifications/{notice.occasion}.txt", {**context, "layout": f"notifications/{layout}"}
    )
