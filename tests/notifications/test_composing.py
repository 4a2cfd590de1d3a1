"""Names that want to be more than names."""

from __future__ import annotations

import pytest
from django.core import mail

from applications.models import Application, ApplicationFile
from notifications import services
from notifications.composing import one_line
from notifications.models import Occasion
from notifications.occasions import Notice
from notifications.templatetags.letters import paragraphs
from tests.notifications.rows import bodies, sent

pytestmark = pytest.mark.django_db

SCRIPT = "<script>alert('x')</script>&.pdf"
TURNED = "invoice\u202efdp.exe"


def send_about(application: Application, file_name: str, reason: str = "It is damaged.") -> None:
    file = application.files.all()[0]
    checks = [{"code": "damaged", "verdict": "failed", "detail": reason}]
    ApplicationFile.objects.filter(pk=file.pk).update(name=file_name, checks=checks)
    services.send(Notice(application.pk, Occasion.ACTION_NEEDED, str(file.pk)))


def test_markup_in_names_is_shown_as_text(application):
    application.student.name = "<img src=x onerror=alert(1)>"
    application.student.save()

    send_about(application, SCRIPT, reason="<b>bold</b>")

    text, html = bodies(sent()).values()
    assert f"“{SCRIPT}”" in text
    assert "“&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;&amp;.pdf”" in html
    assert "<li>&lt;b&gt;bold&lt;/b&gt;</li>" in html
    assert "Dear &lt;img src=x onerror=alert(1)&gt;," in html
    assert [tag for tag in ("<script", "<img", "<b>") if tag in html] == []


def test_names_cannot_begin_a_line_or_turn_the_text(application):
    send_about(application, f"a\r\n\r\n- b\u2028c{TURNED}", reason="one\n\n- two")

    text, html = bodies(sent()).values()
    assert "“a - b cinvoicefdp.exe”" in text
    assert "- one - two\n" in text
    assert "<li>one - two</li>" in html
    assert html.count("<li>") == 1
    assert "\u202e" not in text + html


def test_headers_cannot_be_injected_by_a_name(application):
    evil = "Ada\r\nBcc: victim@example.com\r\n\r\nhello"
    application.student.name = evil
    application.student.save()

    send_about(application, evil)

    message = sent()
    assert (message["Bcc"], message["To"]) == (None, "ada@example.com")
    assert mail.outbox[0].recipients() == ["ada@example.com"]
    header = message.as_bytes().partition(b"\n\n")[0]
    assert b"victim" not in header


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Nguyễn Thị Ánh.pdf", "Nguyễn Thị Ánh.pdf"),
        (
            "\u0627\u0644\u0639\u0631\u0628\u064a\u0629.pdf",
            "\u0627\u0644\u0639\u0631\u0628\u064a\u0629.pdf",
        ),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("a\x00b\tc\x85d\u2029e", "a b c d e"),
        ("  a   b  ", "a b"),
        ("a\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069b", "ab"),
    ],
)
def test_one_line_keeps_words_and_nothing_that_changes_their_surroundings(text, line):
    assert one_line(text) == line


def test_paragraphs_of_text_that_is_not_safe_are_escaped():
    html = paragraphs("a\nb\n \n- <c>\n- d\n\n\ne - f")

    assert html == "<p>a b</p>\n<ul><li>&lt;c&gt;</li><li>d</li></ul>\n<p>e - f</p>"


def test_signature_is_the_name_of_the_sender_or_else_its_address(application, settings):
    for address in ("Registrar <office@example.edu>", "office@example.edu"):
        settings.DEFAULT_FROM_EMAIL = address
        services.send(Notice(application.pk, Occasion.RECEIVED))

    endings = [str(message.body).splitlines()[-2] for message in mail.outbox]
    assert endings == ["Registrar", "office@example.edu"]
