from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from django.conf import settings
from PIL import Image

from applications.verification import sandbox
from applications.verification.inspection import limits
from applications.verification.inspection.findings import Inspection, TooComplex
from applications.verification.sandbox import (
    InspectionFailed,
    InspectionTimedOut,
    inspect,
    render_page,
)
from outbox.exceptions import AttemptTimedOut
from outbox.time_limit import time_limit
from tests.applications.documents import encrypted_pdf, image, pdf, scan, scanned_pdf
from tests.applications.hostile import CORPUS, one_page
from tests.waiting import PATIENCE

PDF = "application/pdf"
MAX_WORKER_MB = 400
ORIENTATION, GPS = 0x0112, 0x8825
SLEEP = "import time; time.sleep(600)"
# Inspects the files of a folder, as a worker does, and prints the peak of memory in kB: its own and
# that of all the processes that it has started and that ran at the same time.
INSPECT_ALL = """
import resource, sys, threading, time
from pathlib import Path
import django, psutil
django.setup()
from applications.verification import sandbox

def memory(pid, field):
    try:
        return int(Path(f"/proc/{pid}/status").read_text().partition(field)[2].split()[0])
    except (OSError, IndexError):
        return 0  # it has ended

seen = []
def watch():
    while True:
        children = psutil.Process().children(recursive=True)
        seen.append(sum(memory(child.pid, "VmRSS:") for child in children))
        time.sleep(0.005)

threading.Thread(target=watch, daemon=True).start()
for path in sorted(Path(sys.argv[1]).iterdir()):
    kind = {".pdf": "application/pdf", ".png": "image/png", ".jpg": "image/jpeg"}[path.suffix]
    sandbox.inspect(path.read_bytes(), content_type=kind)
# Not getrusage for itself: that begins with what its parent had when it was forked.
largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # a look may come too late for it
print(memory("self", "VmHWM:") + max(largest, *seen))
"""
# Starts the child as the sandbox does, with its own stdin, and says who that is.
START = """
import os, subprocess, sys
command = [sys.executable, "-m", "applications.verification.inspection", str(os.getpid()), "9", "application/pdf"]
print(subprocess.Popen(command).pid, flush=True)
sys.stdin.read()
"""


def run(program: str, *arguments: str, seconds: float = PATIENCE) -> bytes | None:
    return sandbox._run([sys.executable, "-c", program, *arguments], b"", seconds)


def test_inspect_tells_the_child_no_secret():
    names = run("import json, os; print(json.dumps(sorted(os.environ)))")

    assert json.loads(names or b"") == ["LANG", "OMP_THREAD_LIMIT", "PATH"]


def test_inspect_tells_the_child_where_the_languages_of_tesseract_are(monkeypatch):
    monkeypatch.setenv("TESSDATA_PREFIX", "/opt/tessdata")

    told = run("import os; print(os.environ['TESSDATA_PREFIX'])")

    assert told == b"/opt/tessdata\n"


def test_inspect_hands_over_the_whole_content():
    content = os.urandom(10 * 2**20)

    given = sandbox._run(
        [sys.executable, "-c", "import sys\nprint(len(sys.stdin.buffer.read()))"],
        content,
        PATIENCE,
    )

    assert given == b"%d\n" % len(content)


@pytest.mark.parametrize(
    "program",
    [
        "while True: print('x' * 10_000)",
        "import resource as r; r.setrlimit(r.RLIMIT_CPU, (1, 2))\nwhile True: pass",
        "import os; os.kill(os.getpid(), 11)",
        "import os; os.abort()",
        "raise SystemExit(3)",
    ],
    ids=["endless output", "cpu", "segfault", "abort", "memory"],
)
def test_inspect_lays_a_limit_or_a_crash_at_the_document(program):
    with pytest.raises(TooComplex, match="limits"):
        run(program)


@pytest.mark.parametrize(
    "program",
    [
        "import os; os.kill(os.getpid(), 9)",  # as the kernel does when memory runs out
        "raise ValueError('a bug of ours')",
        "import sys\nfor _ in range(1000): print('x' * 10_000, file=sys.stderr)\nsys.exit(1)",
    ],
    ids=["killed", "bug", "endless complaint"],
)
def test_inspect_does_not_lay_an_error_at_the_document(program):
    with pytest.raises(InspectionFailed):
        run(program)


def test_inspect_does_not_log_what_a_document_may_have_in_it(caplog):
    with pytest.raises(InspectionFailed):
        run("import sys; sys.exit('Hương\\nlast line')")

    assert caplog.messages == ["inspection failed status=1 error='last line'"]


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "[]",
        '{"findings": 1}',
        '{"findings":[],"text":1,"pages":1}',
        '{"findings":[],"text":"","pages":-1}',
        '{"findings":[],"text":"","pages":1001}',
    ],
)
def test_inspect_does_not_believe_an_answer_of_another_shape(monkeypatch, answer):
    command = [sys.executable, "-c", f"print({answer!r})"]
    monkeypatch.setattr(sandbox, "_command", lambda *arguments: command)

    with pytest.raises(InspectionFailed):
        inspect(pdf(), content_type=PDF)


def test_inspect_ends_the_child_when_time_is_up():
    with pytest.raises(InspectionTimedOut):
        run(SLEEP, seconds=0.5)

    assert psutil.Process().children() == []


@pytest.fixture
def low_bar_for_burners(monkeypatch) -> None:
    """Half a second of CPU time is much, so that nobody has to wait for more."""
    monkeypatch.setattr(sandbox, "BURNER_SECONDS", 0.5)
    monkeypatch.setattr(sandbox, "BURNER_SHARE", 0.1)


@pytest.mark.usefixtures("low_bar_for_burners")
def test_inspect_lays_time_that_the_child_has_worked_for_at_the_document():
    with pytest.raises(TooComplex, match="limits"):
        run("while True: pass", seconds=2.0)

    assert psutil.Process().children() == []


@pytest.mark.usefixtures("low_bar_for_burners")
def test_inspect_does_not_lay_the_time_of_tesseract_at_the_document():
    reader = "import time\nwhile time.process_time() < 0.8: pass"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {reader!r}]); {SLEEP}"

    with pytest.raises(InspectionTimedOut):
        run(program, seconds=2.0)


def test_inspect_counts_only_so_many_pages():
    inspection = inspect(pdf(pages=limits.MAX_COUNTED_PAGES + 1), content_type=PDF)

    assert inspection.pages == limits.MAX_COUNTED_PAGES


def test_inspect_walks_over_as_many_objects_as_are_accepted():
    dictionaries = b"<< /A 1 >>" * (limits.MAX_CONTAINERS - 10)
    content = one_page(b"[%s]" % dictionaries, catalog=b"/X 4 0 R")

    inspection = inspect(content, content_type=PDF)

    assert "too_complex" not in [finding.code for finding in inspection.findings]


@pytest.mark.parametrize("numbers", [1_400_000, 1_600_000, 1_700_000, 2_000_000, 4_900_000])
def test_inspect_lays_memory_that_a_library_did_not_get_at_the_document(numbers):
    content = one_page(b"[%s]" % (b"0 " * numbers), catalog=b"/X 4 0 R")

    inspection = inspect(content, content_type=PDF)

    assert verdicts(inspection)["too_complex"] == "failed"


def test_inspect_ends_the_child_and_its_children_with_the_attempt():
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEP!r}])"

    with pytest.raises(AttemptTimedOut), time_limit(0.8):
        run(program)

    assert psutil.Process().children(recursive=True) == []


def test_child_dies_with_its_parent():
    reader, writer = os.pipe()  # kept open, so that the child waits for its document
    parent = subprocess.Popen(
        [sys.executable, "-c", START],
        stdin=reader,
        stdout=subprocess.PIPE,
        cwd=settings.BASE_DIR,
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))

    parent.kill()
    parent.wait()
    parent.stdout.close()

    try:
        child.wait(timeout=30)
    finally:
        os.close(reader)
        os.close(writer)


def test_worker_stays_small_over_all_hostile_files(tmp_path: Path):
    for number, hostile in enumerate(CORPUS):
        (tmp_path / f"{number} {hostile.file_name}").write_bytes(hostile.build())
    (tmp_path / "largest.png").write_bytes(large_image("PNG"))
    (tmp_path / "largest.jpg").write_bytes(large_image("JPEG", progressive=True, subsampling=0))
    (tmp_path / "scan.pdf").write_bytes(scanned_pdf(*[scan()] * 3))

    done = subprocess.run(
        [sys.executable, "-c", INSPECT_ALL, tmp_path],
        cwd=settings.BASE_DIR,
        stdout=subprocess.PIPE,
        check=True,
    )

    assert int(done.stdout) // 1024 < MAX_WORKER_MB


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        *[("PNG", mode, {}) for mode in ("RGB", "P", "RGBA", "LA", "I;16", "1")],
        ("JPEG", "RGB", {}),
        ("JPEG", "RGB", {"progressive": True, "subsampling": 0}),
    ],
)
def test_inspect_reads_images_of_40_megapixels(kind, mode, options):
    content = large_image(kind, mode, **options)

    inspection = inspect(content, content_type=f"image/{kind.lower()}")

    assert verdicts(inspection)["not_damaged"] == "passed"
    assert verdicts(inspection)["dimensions"] == "passed"


def test_inspect_does_not_take_an_image_that_needs_too_much_memory_for_a_damaged_one():
    content = large_image("JPEG", "CMYK", progressive=True, subsampling=0)

    inspection = inspect(content, content_type="image/jpeg")

    assert verdicts(inspection) == {
        "too_complex": "failed",
        "not_damaged": "not_checked",
        "dimensions": "not_checked",
        "legible": "not_checked",
    }


def test_render_page_shows_a_large_image_as_it_is():
    drawing, file = Image.new("P", (4000, 3000), 0), io.BytesIO()
    drawing.putpalette([255, 0, 0, 0, 0, 255])
    drawing.paste(1, (0, 1500, 4000, 3000))
    exif = Image.Exif()
    exif[ORIENTATION] = 3  # upside down
    drawing.save(file, "PNG", exif=exif)

    content = render_page(file.getvalue(), content_type="image/png", page=1) or b""

    picture = Image.open(io.BytesIO(content))
    assert picture.size == (1400, 1050)
    assert (picture.getpixel((700, 10)), picture.getpixel((700, 1040))) == (
        (0, 0, 255),
        (255, 0, 0),
    )


@pytest.mark.parametrize("side", [8, 3000])
def test_render_page_shows_grey_of_16_bits(side):
    file = io.BytesIO()
    halves = [struct.pack("<H", grey) * side * (side // 2) for grey in (0x2000, 0xF000)]
    Image.frombytes("I;16", (side, side), b"".join(halves)).save(file, "PNG")

    content = render_page(file.getvalue(), content_type="image/png", page=1) or b""

    assert Image.open(io.BytesIO(content)).convert("L").getextrema() == (0x20, 0xF0)


def test_render_page_draws_the_page_that_is_asked_for():
    content = scanned_pdf(Image.new("L", (100, 200), 0), Image.new("L", (200, 100), 255))

    picture = Image.open(io.BytesIO(render_page(content, content_type=PDF, page=2) or b""))

    assert picture.format == "PNG"
    assert picture.size == (limits.PICTURE_PIXELS, limits.PICTURE_PIXELS // 2)
    assert picture.getpixel((10, 10)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("content", "content_type", "page"),
    [
        (pdf(), PDF, 0),
        (pdf(), PDF, 2),
        (encrypted_pdf(user="a", owner="b"), PDF, 1),
        (b"%PDF-", PDF, 1),
        (image("PNG")[:500], "image/png", 1),
    ],
)
def test_render_page_returns_nothing_for_what_can_not_be_drawn(content, content_type, page):
    assert render_page(content, content_type=content_type, page=page) is None


def test_render_page_turns_a_photo_upright_and_drops_where_it_was_taken():
    photo, file = Image.new("RGB", (300, 100), "red"), io.BytesIO()
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # turned by a quarter
    exif.get_ifd(GPS)[1] = "N"
    photo.save(file, "JPEG", exif=exif)

    content = render_page(file.getvalue(), content_type="image/jpeg", page=1) or b""

    picture = Image.open(io.BytesIO(content))
    assert picture.size == (100, 300)
    assert dict(picture.getexif()) == {}
    assert b"eXIf" not in content


def test_render_page_shows_transparent_pixels_as_white():
    file = io.BytesIO()
    Image.new("RGBA", (10, 10), (0, 0, 0, 0)).save(file, "PNG")

    content = render_page(file.getvalue(), content_type="image/png", page=1) or b""

    assert Image.open(io.BytesIO(content)).getpixel((5, 5)) == (255, 255, 255)


def verdicts(inspection: Inspection) -> dict[str, str]:
    return {finding.code: finding.verdict.value for finding in inspection.findings}


def large_image(kind: str, mode: str = "RGB", **save: object) -> bytes:
    """Return a blank image with as many pixels as are accepted."""
    file = io.BytesIO()
    Image.new(mode, (8000, 5000)).save(file, kind, **save)
    return file.getvalue()
