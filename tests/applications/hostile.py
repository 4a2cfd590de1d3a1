"""Files that are made to deceive, to break, or to exhaust who opens them; all built by code."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pikepdf
from pikepdf import Array, Dictionary, Name

from tests.applications.documents import (
    PDF_HEAD,
    PNG_HEAD,
    blank_image,
    encrypted_pdf,
    image,
    new_pdf,
    pdf,
    saved,
)

HTML = b"<!DOCTYPE html><html><script>alert(1)</script></html>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
BOMB_BYTES = 200_000_000
DEPTH = 10_000
PNG_SIGNATURE_AND_HEADER = 33  # bytes
MAX_FILE_BYTES = 10 * 2**20
JPEG, PNG = "image/jpeg", "image/png"


@dataclass(frozen=True)
class Hostile:
    """A file and the code of the check that must fail; "" if it is harmless to us."""

    name: str
    build: Callable[[], bytes]
    finding: str
    content_type: str = "application/pdf"

    @property
    def file_name(self) -> str:
        return "file." + {"application/pdf": "pdf", PNG: "png", JPEG: "jpg"}[self.content_type]


def eicar() -> bytes:
    """Return the harmless test file of malware scanners; as a literal it would be found here."""
    parts = (b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$", b"EICAR-STANDARD-ANTIVIRUS-TEST-", b"FILE!$H+H*")
    return b"".join(parts)


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("file.txt", content)
    return file.getvalue()


def raw_pdf(*objects: bytes) -> bytes:
    """Return a PDF of these objects, numbered from 1; the first is the catalog."""
    out, offsets = bytearray(PDF_HEAD), []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\n" % (len(objects) + 1)
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % table)


def one_page(*more: bytes, catalog: bytes = b"", page: bytes = b"") -> bytes:
    """Return a PDF with a page; `more` are the objects from 4 on."""
    return raw_pdf(
        b"<< /Type /Catalog /Pages 2 0 R %s >>" % catalog,
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] %s >>" % page,
        *more,
    )


def stream(content: bytes, entries: bytes) -> bytes:
    head = b"<< /Length %d %s >>" % (len(content), entries)
    return head + b"\nstream\n" + content + b"\nendstream"


@cache
def packed(size: int = BOMB_BYTES) -> bytes:
    """Return so many spaces, packed; 200 MB become 195 KB."""
    packer = zlib.compressobj(9)
    parts = [packer.compress(b" " * 10**6) for _ in range(size // 10**6)]
    return b"".join(parts) + packer.flush()


def stream_bomb(entries: bytes = b"/Filter /FlateDecode") -> bytes:
    return one_page(stream(packed(), entries), page=b"/Contents 4 0 R")


def double_bomb() -> bytes:
    content = stream(zlib.compress(packed(), 9), b"/Filter [/FlateDecode /FlateDecode]")
    return one_page(content, page=b"/Contents 4 0 R")


def disguised_bomb() -> bytes:
    """A page's content that says it is an image of one pixel."""
    return stream_bomb(b"/Filter /FlateDecode /Subtype /Image /Width 1 /Height 1")


def object_stream_bomb() -> bytes:
    """The catalog stands in a stream that unpacks to 200 MB before anything can be looked at."""
    packer = zlib.compressobj(9)
    head = b"1 0 2 30 3 80 "
    objects = head + (
        b"<</Type/Catalog/Pages 2 0 R>>".ljust(30)
        + b"<</Type/Pages/Kids[3 0 R]/Count 1>>".ljust(50)
        + b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>"
    )
    content = packer.compress(objects)
    content += b"".join(packer.compress(b" " * 10**6) for _ in range(BOMB_BYTES // 10**6))
    content += packer.flush()
    body = stream(content, b"/Type /ObjStm /N 3 /First %d /Filter /FlateDecode" % len(head))
    out = PDF_HEAD + b"4 0 obj\n" + body + b"\nendobj\n"
    rows = [(0, 0, 0), (2, 4, 0), (2, 4, 1), (2, 4, 2), (1, len(PDF_HEAD), 0), (1, len(out), 0)]
    table = b"".join(struct.pack(">BIH", *row) for row in rows)
    xref = stream(table, b"/Type /XRef /Size 6 /W [1 4 2] /Root 1 0 R")
    return out + b"5 0 obj\n" + xref + b"\nendobj\nstartxref\n%d\n%%%%EOF\n" % len(out)


def nested_arrays() -> bytes:
    return one_page(b"[" * DEPTH + b"]" * DEPTH, catalog=b"/X 4 0 R")


def nested_pages() -> bytes:
    pages = [
        b"<< /Type /Pages /Kids [%d 0 R] /Count 1 /Parent %d 0 R >>" % (number + 1, number - 1)
        for number in range(3, DEPTH)
    ]
    return raw_pdf(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        *pages,
        b"<< /Type /Page /Parent %d 0 R /MediaBox [0 0 200 200] >>" % (DEPTH - 1),
    )


def chain() -> bytes:
    links = [b"<< /Next %d 0 R >>" % (number + 1) for number in range(4, DEPTH)]
    return one_page(*links, b"null", catalog=b"/X 4 0 R")


def many_objects() -> bytes:
    return one_page(b"[" + b"[]" * 250_000 + b"]", catalog=b"/X 4 0 R")


def with_count(count: int, *, pages: int = 1) -> bytes:
    """A PDF that says that it has `count` pages."""
    kids = b" ".join(b"%d 0 R" % (number + 3) for number in range(pages))
    return raw_pdf(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d /MediaBox [0 0 200 200] >>" % (kids, count),
        *[b"<< /Type /Page /Parent 2 0 R >>"] * pages,
    )


def with_endless_page() -> bytes:
    """A page without text whose sides are too long for a number of PDFium's."""
    side = b"9" * 45 + b".5"
    return one_page().replace(b"[0 0 200 200]", b"[0 0 %s %s]" % (side, side))


def with_missing_page() -> bytes:
    """A list of pages that qpdf can't repair."""
    return raw_pdf(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R 9 0 R] >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] >>",
    )


def burner() -> bytes:
    """A page without text that takes PDFium minutes to draw."""
    content = zlib.compress(b"0 0 595 842 re f\n" * 500_000, 9)
    page = b"/MediaBox [0 0 595 842] /Contents 4 0 R"
    return one_page(stream(content, b"/Filter /FlateDecode"), page=page)


def huge_image_in_pdf() -> bytes:
    entries = b"/Subtype /Image /Width 10000 /Height 10000 /ColorSpace /DeviceGray"
    picture = stream(packed(10**8), entries + b" /BitsPerComponent 8 /Filter /FlateDecode")
    drawn = stream(b"q 200 0 0 200 0 0 cm /I Do Q", b"")
    page = b"/Resources << /XObject << /I 4 0 R >> >> /Contents 5 0 R"
    return one_page(picture, drawn, page=page)


def with_catalog(**entries: Any) -> bytes:
    document = new_pdf()
    for name, value in entries.items():
        document.Root[f"/{name}"] = value
    return saved(document)


def with_annotation(**entries: Any) -> bytes:
    document = new_pdf()
    annotation = Dictionary(Type=Name.Annot, Rect=[0, 0, 10, 10], **entries)
    document.pages[0].Annots = Array([document.make_indirect(annotation)])
    return saved(document)


def with_attachment(content: bytes) -> bytes:
    document = new_pdf()
    document.attachments["notes.txt"] = pikepdf.AttachedFileSpec(document, content)
    return saved(document)


def script() -> pikepdf.Dictionary:
    return Dictionary(S=Name.JavaScript, JS="app.alert(1)")


def with_action_of_page(action: pikepdf.Dictionary) -> bytes:
    document = new_pdf()
    document.pages[0].AA = Dictionary(O=action)
    return saved(document)


def with_broken_checksum() -> bytes:
    content = bytearray(image("PNG"))
    content[content.index(b"IDAT") + 20] ^= 0xFF
    return bytes(content)


def with_text_bomb(kind: bytes) -> bytes:
    """A PNG whose text or colour profile unpacks to more than Pillow allows."""
    good, content = image("PNG"), b"name\x00\x00" + zlib.compress(bytes(2 * 2**20))
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    bomb = struct.pack(">I", len(content)) + kind + content + checksum
    return good[:PNG_SIGNATURE_AND_HEADER] + bomb + good[PNG_SIGNATURE_AND_HEADER:]


GOTO = Dictionary(S=Name.GoTo, D=Array([0, Name.Fit]))
FIRST_PAGE = Dictionary(S=Name.Named, N=Name.FirstPage)
PRINT = Dictionary(S=Name.Named, N=Name.Print)
ADDRESS = Dictionary(S=Name.URI, URI="https://example.com")
LAUNCH = Dictionary(S=Name.Launch, F="calc.exe")

CORPUS = [
    Hostile("nothing", lambda: b"", "not_empty"),
    Hostile("one byte too many", lambda: PDF_HEAD.ljust(MAX_FILE_BYTES + 1), "size"),
    Hostile("pdf behind junk", lambda: b"x" * 500 + pdf(), "type"),
    Hostile("html as pdf", lambda: HTML, "type"),
    Hostile("svg as png", lambda: SVG, "type", PNG),
    Hostile("png as pdf", lambda: image("PNG"), "type"),
    Hostile("eicar", eicar, "type"),
    Hostile("eicar in zip", lambda: zipped(eicar()), "type"),
    Hostile("eicar in pdf", lambda: with_attachment(eicar()), "no_active_content"),
    Hostile("pdf that is html", lambda: PDF_HEAD + HTML, "not_damaged"),
    Hostile("pdf with html behind", lambda: pdf() + HTML, ""),
    Hostile("head only", lambda: PDF_HEAD, "not_damaged"),
    Hostile("truncated pdf", lambda: pdf()[:200], "not_damaged"),
    Hostile("pdf without its end", lambda: pdf(pages=3)[:-60], "not_damaged"),
    Hostile("user password", lambda: encrypted_pdf(user="a", owner="b"), "not_encrypted"),
    Hostile("owner password", lambda: encrypted_pdf(user="", owner="b"), ""),
    Hostile("no pages", lambda: pdf(pages=0), "page_count"),
    Hostile("50 pages", lambda: pdf(pages=50), ""),
    Hostile("51 pages", lambda: pdf(pages=51), "page_count"),
    Hostile("99,999 pages that are one", lambda: with_count(99_999), "not_damaged"),
    Hostile("65,537 pages that are one", lambda: with_count(65_537), "not_damaged"),
    Hostile("one page that is 60", lambda: with_count(1, pages=60), "not_damaged"),
    Hostile("page without an end", with_endless_page, "not_damaged"),
    Hostile("missing page", with_missing_page, ""),
    Hostile("page that takes minutes", burner, "too_complex"),
    Hostile("stream bomb", stream_bomb, "too_complex"),
    Hostile("double bomb", double_bomb, "too_complex"),
    Hostile("bomb as image", disguised_bomb, "too_complex"),
    Hostile("object stream bomb", object_stream_bomb, "too_complex"),
    Hostile("nested arrays", nested_arrays, "too_complex"),
    Hostile("nested pages", nested_pages, "too_complex"),
    Hostile("chain of references", chain, "too_complex"),
    Hostile("many objects", many_objects, "too_complex"),
    Hostile("100 megapixels in pdf", huge_image_in_pdf, "too_complex"),
    Hostile("script at opening", lambda: with_catalog(OpenAction=script()), "no_active_content"),
    Hostile("launch", lambda: with_catalog(OpenAction=LAUNCH), "no_active_content"),
    Hostile(
        "script behind goto",
        lambda: with_catalog(OpenAction=Dictionary(S=Name.GoTo, Next=script())),
        "no_active_content",
    ),
    Hostile("goto at opening", lambda: with_catalog(OpenAction=GOTO), ""),
    Hostile("first page at opening", lambda: with_catalog(OpenAction=FIRST_PAGE), ""),
    Hostile("print at opening", lambda: with_catalog(OpenAction=PRINT), "no_active_content"),
    Hostile("goto of page", lambda: with_action_of_page(GOTO), ""),
    Hostile("first page of page", lambda: with_action_of_page(FIRST_PAGE), ""),
    Hostile(
        "script behind goto of page",
        lambda: with_action_of_page(Dictionary(S=Name.GoTo, Next=script())),
        "no_active_content",
    ),
    Hostile(
        "named script",
        lambda: with_catalog(Names=Dictionary(JavaScript=Dictionary(Names=["a", script()]))),
        "no_active_content",
    ),
    Hostile("address of page", lambda: with_action_of_page(ADDRESS), "no_active_content"),
    Hostile("script at click", lambda: with_annotation(A=script()), "no_active_content"),
    Hostile(
        "script by another spelling",
        lambda: one_page(catalog=b"/OpenAction << /#53 /Java#53cript /JS (app.alert) >>"),
        "no_active_content",
    ),
    Hostile("name that is no text", lambda: one_page(catalog=b"/X << /S /\xff\xfe /\xff 1 >>"), ""),
    Hostile("attachment", lambda: with_attachment(b"abc"), "no_active_content"),
    Hostile(
        "file annotation",
        lambda: with_annotation(Subtype=Name.FileAttachment),
        "no_active_content",
    ),
    Hostile("film", lambda: with_annotation(Subtype=Name.RichMedia), "no_active_content"),
    Hostile(
        "xfa",
        lambda: with_catalog(AcroForm=Dictionary(Fields=[], XFA=["a", "b"])),
        "no_active_content",
    ),
    Hostile("truncated jpeg", lambda: image("JPEG")[:-200], "not_damaged", JPEG),
    Hostile("truncated png", lambda: image("PNG")[:500], "not_damaged", PNG),
    Hostile("png head only", lambda: PNG_HEAD, "not_damaged", PNG),
    Hostile("broken checksum", with_broken_checksum, "not_damaged", PNG),
    Hostile("text bomb", lambda: with_text_bomb(b"zTXt"), "not_damaged", PNG),
    Hostile("profile bomb", lambda: with_text_bomb(b"iCCP"), "not_damaged", PNG),
    Hostile("41 megapixels", lambda: blank_image(size=(8200, 5000)), "dimensions", PNG),
    Hostile("100 megapixels", lambda: blank_image(size=(10_000, 10_000)), "too_complex", PNG),
]
