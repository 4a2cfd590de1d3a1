"""How a value is laid out in a cell of a list or on a page."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString


def stacked(value: str, lines: Iterable[str]) -> SafeString:
    """Return the value with smaller lines below it."""
    below = format_html_join("", '<span class="below">{}</span>', ((line,) for line in lines))
    return format_html('<span class="stacked"><span>{}</span>{}</span>', value, below)
