"""The pages that a student sees, made from the templates in `pages/`."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from string import Template

from payments.sandbox.money import format_amount
from payments.sandbox.records import Session
from payments.sandbox.store import LATE_SECONDS
from payments.sandbox.validation import origin

HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Referrer-Policy": "no-referrer",  # the address is the key to the page
    "X-Content-Type-Options": "nosniff",
}
TEMPLATES = Path(__file__).parent / "pages"
STYLE = (TEMPLATES / "style.css").read_text(encoding="utf-8")
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()


@dataclass(frozen=True)
class Page:
    """A page and the Content-Security-Policy that fits it."""

    html: str
    policy: str


def checkout(session: Session) -> Page:
    """Return the page for a session in its present state."""
    if session.status == "paid":
        return _message("Payment received", _receipt(session), session.success_url)
    if session.status == "expired":
        return _message(
            "This checkout has expired",
            "Nothing was charged. Go back and start the payment again.",
            session.cancel_url,
        )
    declined = _fill("declined.html") if session.was_declined else ""
    content = _fill(
        "open.html",
        {"declined": declined},
        amount=format_amount(session.amount, session.currency),
        description=session.description,
        reference=session.reference,
        expires=datetime.fromtimestamp(session.expires_at, UTC).strftime("%-d %b %Y, %H:%M UTC"),
        path=f"/checkout/{session.id}",
        cancel_url=session.cancel_url,
        late=f"{LATE_SECONDS:g} seconds",
    )
    # Browsers hold the redirect after the form to form-action too, so it names the shop.
    return _page("Pay", content, form_action=f"'self' {origin(session.success_url)}")


def unknown() -> Page:
    """Return the page for a link that leads nowhere."""
    return _message("Checkout not found", "Check the link, or start the payment again.", None)


def _receipt(session: Session) -> str:
    paid = f"{format_amount(session.amount, session.currency)} for {session.description}."
    if not session.refunded:
        return paid
    return f"{paid} Paid back: {format_amount(session.refunded, session.currency)}."


def _message(title: str, text: str, back_url: str | None) -> Page:
    back = "" if back_url is None else _fill("back.html", url=back_url)
    return _page(title, _fill("message.html", {"back": back}, title=title, text=text))


def _page(title: str, content: str, form_action: str = "'none'") -> Page:
    html = _fill("layout.html", {"style": STYLE, "content": content}, title=title)
    policy = (
        f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; img-src data:;"
        f" form-action {form_action}; base-uri 'none'; frame-ancestors 'none'"
    )
    return Page(html=html, policy=policy)


def _fill(template: str, html: dict[str, str] | None = None, **texts: str) -> str:
    """Fill a template with `texts`, which are escaped, and with `html`, which is used as it is."""
    source = (TEMPLATES / template).read_text(encoding="utf-8")
    values = {name: escape(text) for name, text in texts.items()}
    return Template(source).substitute(values | (html or {}))
