"""The HTML of a mail's text."""

from __future__ import annotations

import re

from django import template
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe

register = template.Library()


@register.filter
def paragraphs(value: str) -> SafeString:
    """Return text as HTML: what blank lines part are paragraphs, lines that begin with "- " a list.

    Text that is not marked safe is escaped.
    """
    blocks = re.split(r"\n\s*\n", str(conditional_escape(value)).strip())
    return mark_safe("\n".join(_html(block) for block in blocks))  # noqa: S308 - escaped above


def _html(block: str) -> str:
    lines = [line.strip() for line in block.splitlines()]
    if all(line.startswith("- ") for line in lines):
        return "<ul>{}</ul>".format("".join(f"<li>{line[2:]}</li>" for line in lines))
    return "<p>{}</p>".format(" ".join(lines))
