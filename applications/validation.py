"""The rules for the content of a submission; every limit is a setting with a name."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from django.conf import settings
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from applications.exceptions import FieldError, InvalidSubmission, TooLarge
from applications.uploads import StagedFile
from outbox.models import Priority

NAME_MAX_LENGTH = 150
TOO_MANY_FILES = gettext_lazy("At most five files can be sent with an application.")


@dataclass(frozen=True)
class FileType:
    """An accepted type: how its files begin, end, and are declared."""

    content_type: str
    signature: bytes
    extensions: frozenset[str]
    aliases: frozenset[str] = frozenset()


FILE_TYPES = (
    FileType("application/pdf", b"%PDF-", frozenset({".pdf"})),
    FileType("image/jpeg", b"\xff\xd8\xff", frozenset({".jpg", ".jpeg"}), frozenset({"image/jpg"})),
    FileType("image/png", b"\x89PNG\r\n\x1a\n", frozenset({".png"})),
)
# What clients declare that do not know: no claim, so it can't be a wrong one.
UNDECLARED = frozenset({"", "application/octet-stream"})


@dataclass(frozen=True)
class Draft:
    """A submission as it came in. `priority` is the text of the form, empty if there was none."""

    personal_statement: str
    files: Sequence[StagedFile]
    priority: str = ""
    unknown_files: Sequence[str] = ()
    files_as_text: bool = False

    @classmethod
    def from_form(cls, fields: QueryDict, files: MultiValueDict[str, Any]) -> Draft:
        """Take the parts of a parsed multipart body."""
        return cls(
            personal_statement=fields.get("personalStatement", ""),
            files=files.getlist("files"),
            priority=fields.get("priority", ""),
            unknown_files=sorted(set(files) - {"files"}),
            # A browser sends an empty text for a file field in which nothing was picked.
            files_as_text=any(fields.getlist("files")),
        )


@dataclass(frozen=True)
class ValidFile:
    """An acceptable file: what it is called on pages, and its type as its content says."""

    staged: StagedFile
    name: str
    content_type: str


@dataclass(frozen=True)
class Submission:
    """A submission that may be stored."""

    personal_statement: str
    files: Sequence[ValidFile]
    priority: Priority


def validate(draft: Draft, *, may_set_priority: bool) -> Submission:
    """Return the submission, or raise `TooLarge`, or `InvalidSubmission` with all that is wrong."""
    _check_sizes(draft.files)
    errors = [
        *_statement_errors(draft.personal_statement),
        *_priority_errors(draft.priority, may_set_priority=may_set_priority),
        *(
            FieldError(name, "unknown_field", _("Send files in the field 'files'."))
            for name in draft.unknown_files
        ),
    ]
    if draft.files_as_text:
        detail = _("Send each file as a part with a file name.")
        errors.append(FieldError("files", "not_a_file", detail))
    if len(draft.files) > settings.MAX_FILES:
        errors.append(FieldError("files", "too_many_files", TOO_MANY_FILES))
    files = []
    for index, staged in enumerate(draft.files):
        found = _check_file(staged)
        if isinstance(found, ValidFile):
            files.append(found)
        else:
            errors.append(FieldError("files", *found, index=index))
    if errors:
        raise InvalidSubmission(errors)
    priority = Priority(int(draft.priority)) if draft.priority else Priority.NORMAL
    return Submission(draft.personal_statement, files, priority)


def check_content_length(content_length: str | None) -> None:
    """Raise `TooLarge` for a body that no acceptable submission can have, before it is read."""
    limit = settings.MAX_TOTAL_FILE_BYTES + settings.MAX_FORM_OVERHEAD_BYTES
    if content_length and content_length.isdecimal() and int(content_length) > limit:
        raise TooLarge(_("The request is larger than %(limit)d bytes.") % {"limit": limit})


def _check_sizes(files: Sequence[StagedFile]) -> None:
    for file in files:
        if file.too_large:
            limit = settings.MAX_FILE_BYTES // 2**20
            raise TooLarge(
                _("%(name)s is larger than %(limit)d MiB.")
                % {"name": display_name(file.name), "limit": limit}
            )
    if sum(file.size or 0 for file in files) > settings.MAX_TOTAL_FILE_BYTES:
        limit = settings.MAX_TOTAL_FILE_BYTES // 2**20
        raise TooLarge(_("The files are larger than %(limit)d MiB together.") % {"limit": limit})


def _statement_errors(statement: str) -> list[FieldError]:
    field = "personalStatement"
    if not statement.strip():
        return [FieldError(field, "required", _("Write your personal statement."))]
    if len(statement) > settings.PERSONAL_STATEMENT_MAX_LENGTH:
        limit = settings.PERSONAL_STATEMENT_MAX_LENGTH
        detail = _("Use at most %(limit)d characters; these are %(length)d.") % {
            "limit": limit,
            "length": len(statement),
        }
        return [FieldError(field, "too_long", detail)]
    if "\x00" in statement:
        return [FieldError(field, "null_character", _("The text contains a NUL character."))]
    return []


def _priority_errors(priority: str, *, may_set_priority: bool) -> list[FieldError]:
    if not priority:
        return []
    if not may_set_priority:
        return [FieldError("priority", "staff_only", _("Only staff may set a priority."))]
    if priority not in {str(value) for value in Priority.values}:
        return [FieldError("priority", "invalid", _("The priority must be 0, 1, 2 or 3."))]
    return []


def _check_file(staged: StagedFile) -> ValidFile | tuple[str, str]:
    """Return the file, or the code and sentence that say what is wrong with it."""
    name = display_name(staged.name)
    if not staged.size:
        return "empty_file", _("%(name)s is empty.") % {"name": name}
    sniffed = next((t for t in FILE_TYPES if staged.head.startswith(t.signature)), None)
    if sniffed is None:
        return "unsupported_type", _("%(name)s is not a PDF, JPEG or PNG file.") % {"name": name}
    declared = staged.content_type or ""
    if (
        PurePath(name).suffix.lower() not in sniffed.extensions
        or declared not in {sniffed.content_type, *sniffed.aliases} | UNDECLARED
    ):
        return "type_mismatch", _(
            "The name or type of %(name)s does not fit its content, which is %(type)s."
        ) % {"name": name, "type": sniffed.content_type}
    return ValidFile(staged, name, sniffed.content_type)


def display_name(name: str | None) -> str:
    """Return the name as pages may show it: composed, without control or direction characters.

    Too long a name is cut in the middle, so that its extension stays.
    """
    composed = unicodedata.normalize("NFC", name or "")
    clean = "".join(c for c in composed if unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co"})
    if len(clean) <= NAME_MAX_LENGTH:
        return clean
    suffix = PurePath(clean).suffix[:10]
    return clean[: NAME_MAX_LENGTH - len(suffix)] + suffix
