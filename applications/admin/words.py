"""What documents and their checks are called for staff, each with the colour of its label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils.functional import Promise
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from applications.admin import queue
from applications.admin.cells import label
from applications.models import ApplicationFile, DocumentsState
from applications.verification.report import Verdict

REPLACED, LEFT_OPEN = "replaced", "left_open"
# The labels of the model are made for the student ("needs your attention").
STATES: dict[str, str | Promise] = {
    DocumentsState.NEEDS_REVIEW: gettext_lazy("to decide"),
    DocumentsState.WAITING: gettext_lazy("waiting"),
    DocumentsState.VERIFYING: gettext_lazy("being checked"),
    DocumentsState.VERIFIED: gettext_lazy("accepted"),
    DocumentsState.FAILED: gettext_lazy("not accepted"),
    REPLACED: gettext_lazy("replaced"),
    LEFT_OPEN: gettext_lazy("left open"),
}
STATE_COLOURS = dict.fromkeys(STATES, "default") | {
    DocumentsState.NEEDS_REVIEW: "warning",
    DocumentsState.VERIFYING: "info",
    DocumentsState.VERIFIED: "success",
    DocumentsState.FAILED: "danger",
}
# Worst first, as the page of a document lists them.
VERDICTS: dict[str, tuple[str, str | Promise]] = {
    Verdict.FAILED: ("danger", gettext_lazy("failed")),
    Verdict.NEEDS_REVIEW: ("warning", gettext_lazy("needs a person")),
    Verdict.NOT_CHECKED: ("default", gettext_lazy("not checked")),
    Verdict.PASSED: ("success", gettext_lazy("passed")),
}
_KINDS = {"application/pdf": "PDF", "image/jpeg": "JPEG", "image/png": "PNG"}


def state(file: ApplicationFile) -> tuple[str, str]:
    """Return (key of `STATES`, word) of a document whose application was fetched with it."""
    key = file.state
    if file.replaced_at is not None:
        key = REPLACED
    elif key == DocumentsState.NEEDS_REVIEW and not queue.is_to_decide(file):
        key = LEFT_OPEN
    return key, str(STATES[key])


def state_label(file: ApplicationFile) -> SafeString:
    """Return the state as a coloured label."""
    key, word = state(file)
    return label(STATE_COLOURS[key], word)


def verdict_label(check: Mapping[str, Any]) -> SafeString:
    """Return the verdict of a check as a coloured label."""
    colour, word = VERDICTS[check["verdict"]]
    return label(colour, word)


def check_name(check: Mapping[str, Any]) -> str:
    """Return the code of a check as words: not_encrypted is “Not encrypted”."""
    return str(check["code"]).replace("_", " ").capitalize()


def worst_first(file: ApplicationFile) -> list[dict[str, Any]]:
    """Return the checks of a document, those that matter for a decision first."""
    order = list(VERDICTS)
    return sorted(file.checks, key=lambda check: order.index(check["verdict"]))


def report(file: ApplicationFile) -> SafeString | str:
    """Return the checks of a document in lines of verdict, name and sentence; what passed in one."""
    passed = [check for check in file.checks if check["verdict"] == Verdict.PASSED]
    lines = [
        (verdict_label(check), f"{check_name(check)}.", check["detail"])
        for check in worst_first(file)
        if check not in passed
    ]
    if passed:
        names = ", ".join(check_name(check).lower() for check in passed)
        lines.append((verdict_label(passed[0]), "", names))
    line = '<div class="check">{} <span><strong>{}</strong> {}</span></div>'
    return format_html_join("", line, lines) or "–"


def facts(file: ApplicationFile) -> list[str]:
    """Return type, size, number of pages and version of a document."""
    kind = _KINDS.get(file.content_type, file.content_type)
    parts = [kind, filesizeformat(file.size)]
    if file.pages:
        parts.append(ngettext("%d page", "%d pages", file.pages) % file.pages)
    if file.version > 1:
        parts.append(_("version %d") % file.version)
    return parts


def name_hint(file: ApplicationFile) -> str:
    """Return whether the text of a document bears the student's name: a hint, no finding."""
    name = {"name": file.application.student.name}
    if file.name_found is None:
        return _("No text could be read, so “%(name)s” was not looked for.") % name
    if file.name_found:
        return _("“%(name)s” was found in the text.") % name
    return _("“%(name)s” was not found in the text: look whose document it is.") % name
