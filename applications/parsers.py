"""Parsing a submission's multipart body, with the errors that Django and DRF leave out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any, cast

from django.core.exceptions import RequestDataTooBig, TooManyFilesSent
from django.utils.http import parse_header_parameters
from django.utils.translation import gettext as _
from rest_framework.exceptions import ErrorDetail, ParseError, ValidationError
from rest_framework.parsers import DataAndFiles, MultiPartParser

from applications.exceptions import TooLarge
from applications.validation import TOO_MANY_FILES

# The closing delimiter is at most this much longer than the boundary: dashes and a line end.
DELIMITER_EXTRA = 8


class TailStream:
    """A stream that remembers the last bytes read from it."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self._size = size
        self.tail = b""

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self.tail = (self.tail + data)[-self._size :] if data else self.tail
        return data


class SubmissionParser(MultiPartParser):
    """Multipart whose every failure is an API error, a body that breaks off included.

    Django reads a truncated body as one with fewer files, and answers too many files in HTML.
    """

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> DataAndFiles[Any, Any]:
        boundary = parse_header_parameters(media_type or "")[1].get("boundary", "").encode()
        tail_stream = TailStream(stream, len(boundary) + DELIMITER_EXTRA)
        try:
            parsed = super().parse(cast(IO[bytes], tail_stream), media_type, parser_context)
        except TooManyFilesSent as error:
            detail = ErrorDetail(str(TOO_MANY_FILES), code="too_many_files")
            raise ValidationError({"files": [detail]}) from error
        except RequestDataTooBig as error:
            raise TooLarge(_("The text fields are too large.")) from error
        finally:
            for handler in (parser_context or {})["request"].upload_handlers:
                handler.upload_interrupted()
        if b"--" + boundary + b"--" not in tail_stream.tail:
            for _name, files in parsed.files.lists():
                for file in files:
                    file.close()
            raise ParseError(_("The body breaks off before its closing boundary."))
        return parsed
