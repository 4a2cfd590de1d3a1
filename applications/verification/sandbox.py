"""Runs the parsers of documents in a child process, because a document may be made to break them.

How the child ends tells whose fault it was. Its own limits on memory and CPU time, and a crash,
mean the document: it is too complex, which is a finding. Wall clock time, unless the child itself
has worked for much of it, or the kernel's killing it, mean this machine: an error, so that the work
is tried again. An overloaded machine must never be laid at a student's door.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import IO

import psutil
from django.conf import settings

from applications.verification.inspection.findings import (
    EXIT_NO_PICTURE,
    EXIT_TOO_COMPLEX,
    Inspection,
    TooComplex,
    too_complex,
)
from applications.verification.inspection.limits import CPU_SECONDS

logger = logging.getLogger(__name__)

WALL_SECONDS = 9.0
# A child that has had so much CPU time when its wall clock time is up would have met its limit on
# CPU time, had it been alone or had more time been left: both this share of the wall clock time and
# half of that limit. No good document was seen to take more than 2 s.
BURNER_SHARE = 0.4
BURNER_SECONDS = CPU_SECONDS / 2
MAX_OUTPUT_BYTES = 8 * 2**20  # a picture of a page; an inspection is far smaller
MAX_COMPLAINT_BYTES = 4096  # of stderr; the rest is thrown away
READ_BYTES = 64 * 2**10
# How a parser ends that met its limit on CPU time, could get no memory, or ran into a bug.
_CRASHES = {
    signal.SIGXCPU,
    signal.SIGSEGV,
    signal.SIGABRT,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGTRAP,
}


class InspectionFailed(Exception):
    """The child ended in a way that says nothing about the document; it can be tried again."""


class InspectionTimedOut(InspectionFailed):
    """The child was not done in its time: this machine has too much to do."""


def inspect(content: bytes, *, content_type: str, seconds: float | None = None) -> Inspection:
    """Return what the parsers find in a document. Raises `InspectionFailed`.

    `seconds` are what is left of the attempt, `WALL_SECONDS` unless said: with fewer, fewer pages
    of a scan are read.
    """
    seconds = WALL_SECONDS if seconds is None else seconds
    try:
        output = _run(_command(f"{seconds:.3f}", content_type), content, seconds)
    except TooComplex as error:
        return too_complex(str(error), content_type)
    try:
        return Inspection.from_json(json.loads(output or b""))
    except (KeyError, TypeError, ValueError) as error:
        raise InspectionFailed("The child's answer can't be understood.") from error


def render_page(content: bytes, *, content_type: str, page: int) -> bytes | None:
    """Return a page (from 1; an image has one) as a PNG that is safe to look at.

    None if it can't be drawn. Raises `InspectionFailed`.
    """
    try:
        command = _command(f"{WALL_SECONDS:.3f}", content_type, str(page))
        return _run(command, content, WALL_SECONDS)
    except TooComplex:
        return None


def _command(*arguments: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "applications.verification.inspection",
        str(os.getpid()),
        *arguments,
    ]


def _run(command: Sequence[str], content: bytes, seconds: float) -> bytes | None:
    """Return the child's output; None if it had nothing to give. Raises `TooComplex`."""
    deadline = time.monotonic() + seconds
    # A file and not a pipe, so that nobody has to feed the child while it is read from. It has no
    # name, so nothing is left of it whatever happens.
    with tempfile.TemporaryFile() as stdin:
        stdin.write(content)
        stdin.seek(0)
        with _started(command, stdin) as child:
            try:
                output, complaint = _read(child, deadline)
                child.wait(max(deadline - time.monotonic(), 0))
            except subprocess.TimeoutExpired as error:
                if _cpu_seconds(child) >= max(BURNER_SECONDS, BURNER_SHARE * seconds):
                    logger.warning("document too complex, no CPU time left")
                    raise TooComplex("limits") from error
                raise InspectionTimedOut(f"No answer within {seconds:.1f} s.") from error
            finally:
                # Whatever it was, the time limit of the attempt included.
                _kill(child)
    return _judged(child.returncode, output, complaint)


def _started(command: Sequence[str], stdin: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own program
        command,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=settings.BASE_DIR,
        env=_environment(),
        start_new_session=True,  # a process group of its own, to be killed as one
    )


def _environment() -> dict[str, str]:
    """Return all that the child is told of this process's environment; there are secrets in it."""
    environment = {
        "PATH": os.pathsep.join(os.get_exec_path()),
        "LANG": "C.UTF-8",
        "OMP_THREAD_LIMIT": "1",  # Tesseract's threads cost more than they gain
    }
    # Where Tesseract's languages are if not where it was built for; it is no setting of ours.
    if prefix := os.environ.get("TESSDATA_PREFIX"):
        environment["TESSDATA_PREFIX"] = prefix
    return environment


def _read(child: subprocess.Popen[bytes], deadline: float) -> tuple[bytes, bytes]:
    """Return stdout, and the beginning of stderr, when the child has closed both."""
    output, complaint = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        for stream, kept in ((child.stdout, output), (child.stderr, complaint)):
            if stream is not None:  # it never is; this is for the type checker
                selector.register(stream, selectors.EVENT_READ, kept)
        while selector.get_map():
            left = deadline - time.monotonic()
            ready = selector.select(left) if left > 0 else []
            if not ready:
                raise subprocess.TimeoutExpired(child.args, deadline)
            for key, _ in ready:
                chunk = os.read(key.fd, READ_BYTES)
                if not chunk:
                    selector.unregister(key.fileobj)
                key.data.extend(chunk)
            if len(output) > MAX_OUTPUT_BYTES:
                raise TooComplex("limits")
            del complaint[MAX_COMPLAINT_BYTES:]
    return bytes(output), bytes(complaint)


def _cpu_seconds(child: subprocess.Popen[bytes]) -> float:
    """Return the CPU time of the child alone: Tesseract's is not the document's fault."""
    try:
        times = psutil.Process(child.pid).cpu_times()
    except psutil.Error:
        return 0.0  # not to be had any more
    return float(times.user + times.system)


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End the child and all it has started, unless it has ended; leave no zombie."""
    if child.returncode is None:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.wait()


def _judged(status: int, output: bytes, complaint: bytes) -> bytes | None:
    if status == 0:
        return output
    if status == EXIT_NO_PICTURE:
        return None
    if status == EXIT_TOO_COMPLEX or -status in _CRASHES:
        logger.warning("document too complex status=%d", status)
        raise TooComplex("limits")
    # The last line of a traceback names the bug; what stands above it may quote the document.
    last_line = complaint.decode(errors="replace").strip().rpartition("\n")[2][:200]
    logger.error("inspection failed status=%d error=%r", status, last_line)
    raise InspectionFailed(f"The child ended with status {status}.")
