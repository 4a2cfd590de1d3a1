"""Labels and links as the admin draws them."""

from __future__ import annotations

from django.template.loader import render_to_string
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe


def label(colour: str, text: str | Promise) -> SafeString:
    """Return a word on a colour: default, info, success, warning or danger."""
    html = render_to_string("unfold/helpers/label.html", {"type": colour, "text": text})
    return mark_safe(html.strip())  # noqa: S308 - a template escapes what it is given


def link(url: str, text: object) -> SafeString:
    """Return a link in the colours of the admin."""
    return format_html(
        '<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>', url, text
    )
