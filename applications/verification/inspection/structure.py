"""The objects that a PDF is made of: are they too many, too deep or too large, and do they act?

pikepdf repairs what it can, so whether a PDF is damaged is not decided here.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import pikepdf
from pikepdf.settings import qpdf_limit_errors, set_qpdf_limits

from applications.verification.inspection import limits
from applications.verification.inspection.activity import activity_of, opening_activity
from applications.verification.inspection.confinement import is_memory_used_up
from applications.verification.inspection.findings import TooComplex

# qpdf has no exception of its own for these.
_COMPLAINTS = {"memory limit exceeded": "unpacks", "too deeply nested": "nested"}
_CONTAINERS = (pikepdf.Array, pikepdf.Dictionary, pikepdf.Stream)
# Streams under these keys are unpacked as a whole even if they say that they are images.
_NEVER_IMAGES = frozenset({"/Contents", "/FontFile", "/FontFile2", "/FontFile3", "/ToUnicode"})


@dataclass(frozen=True)
class Structure:
    """How many pages there are, and what the PDF does by itself (see `activity`)."""

    pages: int
    activities: frozenset[str]


def examine(content: bytes) -> Structure:
    """Walk over all objects that can be reached in a PDF.

    Raises `TooComplex`, `pikepdf.PasswordError` if it takes a password to read it, and another
    `pikepdf.PikepdfError` if qpdf can't repair it.
    """
    set_qpdf_limits(
        parser_max_nesting=limits.MAX_NESTING,
        parser_max_errors=0,  # a damaged file is not a complex one
        parser_max_container_size_damaged=limits.MAX_CONTAINERS,
        flate_max_memory=limits.MAX_STREAM_BYTES,
        png_max_memory=limits.MAX_STREAM_BYTES,
        tiff_max_memory=limits.MAX_STREAM_BYTES,
        run_length_max_memory=limits.MAX_STREAM_BYTES,
    )
    limit_errors = qpdf_limit_errors()
    try:
        with pikepdf.open(io.BytesIO(content)) as document:
            walk = _Walk()
            walk.over(document.trailer)
            _complain(" ".join(map(str, document.get_warnings())))
            if qpdf_limit_errors() > limit_errors:
                raise TooComplex("nested")
            if is_memory_used_up():
                raise TooComplex("limits")  # qpdf leaves out objects that it gets no memory for
            activities = walk.activities | opening_activity(document.Root)
            return Structure(len(document.pages), frozenset(activities))
    except pikepdf.PikepdfError as error:
        _complain(str(error))
        raise


class _Walk:
    """Over all containers, level by level: no recursion that a document could make deep."""

    def __init__(self) -> None:
        self.activities: set[str] = set()
        self._seen: set[tuple[tuple[int, int], bool]] = set()
        self._containers = 0
        self._unpacked_bytes = 0

    def over(self, root: pikepdf.Object) -> None:
        level = [("", root)]
        for _ in range(limits.MAX_CHAIN):
            level = [child for key, node in level for child in self._step(key, node)]
            if not level:
                return
        raise TooComplex("nested")

    def _step(self, key: str, node: pikepdf.Object) -> Iterator[tuple[str, pikepdf.Object]]:
        """Look at one container, then yield those in it that were not seen yet."""
        self._containers += 1
        if self._containers > limits.MAX_CONTAINERS:
            raise TooComplex("objects")
        if isinstance(node, pikepdf.Array):
            children = [(key, child) for child in list(node)]
        else:
            entries = dict(node.items())
            self.activities |= activity_of(entries)
            children = list(entries.items())
        if isinstance(node, pikepdf.Stream):
            self._weigh(key, node)
        for name, child in children:
            if isinstance(child, _CONTAINERS) and self._is_new(name, child):
                yield name, child

    def _is_new(self, key: str, node: pikepdf.Object) -> bool:
        if not node.is_indirect:
            return True  # it is part of the object it stands in, which is seen only once
        seen = (node.objgen, key in _NEVER_IMAGES)
        is_new = seen not in self._seen
        self._seen.add(seen)
        return is_new

    def _weigh(self, key: str, stream: pikepdf.Object) -> None:
        if stream.get("/Subtype") == "/Image" and key not in _NEVER_IMAGES:
            # Unpacked only when its page is drawn, and line by line: its size says enough.
            if _number(stream, "/Width") * _number(stream, "/Height") > limits.BOMB_PIXELS:
                raise TooComplex("pixels")
            return
        self._unpacked_bytes += _unpacked_bytes(stream)
        if self._unpacked_bytes > limits.MAX_ALL_STREAMS_BYTES:
            raise TooComplex("unpacks")


def _unpacked_bytes(stream: pikepdf.Object) -> int:
    try:
        level = pikepdf.StreamDecodeLevel.specialized
        with memoryview(stream.get_stream_buffer(decode_level=level)) as unpacked:
            return unpacked.nbytes
    except (pikepdf.PdfError, pikepdf.DataDecodingError) as error:
        _complain(str(error))
        return 0  # damaged, or packed as a picture


def _number(stream: pikepdf.Object, key: str) -> int:
    value: object = stream.get(key)
    return int(value) if isinstance(value, int) else 0


def _complain(message: str) -> None:
    for complaint, finding in _COMPLAINTS.items():
        if complaint in message:
            raise TooComplex(finding)
