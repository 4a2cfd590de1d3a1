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

    def fits(self, name: str, declared_type: str) -> bool:
        """Tell whether a file of this type may be called so, and may be said to be that."""
        declarable = {self.content_type, *self.aliases} | UNDECLARED
        return PurePath(name).suffix.lower() in self.extensions and declared_type in declarable


FILE_TYPES = (
    FileType("application/pdf", b"%PDF-", frozenset({".pdf"}), frozenset({"application/x-pdf"})),
    FileType(
        "image/jpeg",
        b"\xff\xd8\xff",
        frozenset({".jpg", ".jpeg", ".jfif"}),
        frozenset({"image/jpg"}),
    ),
    FileType("image/png", b"\x89PNG\r\n\x1a\n", frozenset({".png"})),
)
# What clients declare that do not know: no claim, so it can't be a wrong one.
UNDECLARED = frozenset({"", "application/octet-stream"})


@dataclass(frozen=True)
class Draft:
    """A submission or a replacement as it came in; `field` is where its files belong.

    `priority` is the text of the form, empty if there was none.
    """

    personal_statement: str
    files: Sequence[StagedFile]
    priority: str = ""
    unknown_files: Sequence[str] = ()
    files_as_text: bool = False
    field: str = "files"

    @classmethod
    def from_form(
        cls, fields: QueryDict, files: MultiValueDict[str, Any], *, field: str = "files"
    ) -> Draft:
        """Take the parts of a parsed multipart body."""
        return cls(
            personal_statement=fields.get("personalStatement", ""),
            files=files.getlist(field),
            priority=fields.get("priority", ""),
            unknown_files=sorted(set(files) - {field}),
            # A browser sends an empty text for a file field in which nothing was picked.
            files_as_text=any(fields.getlist(field)),
            field=field,
        )


@dataclass(frozen=True)
class ValidFile:
    """An acceptable file: what it is called on pages, and its type as its content says."""

    staged: StagedFile
    name: str
    content_type: str
    declared_type: str


@dataclass(frozen=True)
class Submission:
    """A submission that may be stored."""

    personal_statement: str
    files: Sequence[ValidFile]
    priority: Priority


def validate(draft: Draft, *, may_set_priority: bool) -> Submission:
    """Return the submission, or raise `TooLarge`, or `InvalidSubmission` with all that is wrong."""
    _check_sizes(draft.files)
    files, file_errors = _check_files(draft)
    errors = [
        *_statement_errors(draft.personal_statement),
        *_priority_errors(draft.priority, may_set_priority=may_set_priority),
        *file_errors,
    ]
    if errors:
        raise InvalidSubmission(errors)
    priority = Priority(int(draft.priority)) if draft.priority else Priority.NORMAL
    return Submission(draft.personal_statement, files, priority)


def validate_replacement(draft: Draft) -> ValidFile:
    """Return the one file, or raise `TooLarge`, or `InvalidSubmission` with all that is wrong."""
    _check_sizes(draft.files)
    files, errors = _check_files(draft)
    if len(draft.files) != 1 and not errors:
        errors = [FieldError(draft.field, "required", _("Send one file in its place."))]
    if errors:
        raise InvalidSubmission(errors)
    return files[0]


def _check_files(draft: Draft) -> tuple[list[ValidFile], list[FieldError]]:
    """Return the acceptable files, and all that is wrong with the others."""
    errors = [
        FieldError(
            name,
            "unknown_field",
            _("Send files in the field '%(field)s'.") % {"field": draft.field},
        )
        for name in draft.unknown_files
    ]
    if draft.files_as_text:
        detail = _("Send each file as a part with a file name.")
        errors.append(FieldError(draft.field, "not_a_file", detail))
    if len(draft.files) > settings.MAX_FILES:
        errors.append(FieldError(draft.field, "too_many_files", TOO_MANY_FILES))
    files = []
    for index, staged in enumerate(draft.files):
        found = _check_file(staged)
        if isinstance(found, ValidFile):
            files.append(found)
        else:
            errors.append(FieldError(draft.field, *found, index=index))
    return files, errors


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
    sniffed = type_of(staged.head)
    if sniffed is None:
        return "unsupported_type", _("%(name)s is not a PDF, JPEG or PNG file.") % {"name": name}
    declared = staged.content_type or ""
    if not sniffed.fits(name, declared):
        return "type_mismatch", _(
            "The name or type of %(name)s does not fit its content, which is %(type)s."
        ) % {"name": name, "type": sniffed.content_type}
    return ValidFile(staged, name, sniffed.content_type, declared)


def type_of(head: bytes) -> FileType | None:
    """Return the type that the first bytes of a file are of; None if it is not accepted."""
    return next((t for t in FILE_TYPES if head.startswith(t.signature)), None)


def display_name(name: str | None) -> str:
    """Return the name as pages may show it: composed, without control or direction characters.

    Nor with spaces around it, which would hide its extension. Too long a name is cut in the middle, so that its extension stays.
    """
    composed = unicodedata.normalize("NFC", name or "")
    clean = "".join(c for c in composed if unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co"})
    clean = clean.strip()
    if len(clean) <= NAME_MAX_LENGTH:
        return clean
    suffix = PurePath(clean).suffix[:10]
    return clean[: NAME_MAX_LENGTH - len(suffix)] + suffix
