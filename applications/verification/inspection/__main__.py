"""`python -m applications.verification.inspection PARENT SECONDS CONTENT_TYPE [PAGE]`: look at a document.

The document comes on stdin. Without a page its inspection goes to stdout as JSON, with a page
(from 1) that page's picture, as PNG. `applications.verification.sandbox` runs this and knows its endings.
"""

from __future__ import annotations

import json
import os
import sys
import time

from applications.verification.inspection import limits
from applications.verification.inspection.confinement import confine, is_memory_used_up
from applications.verification.inspection.findings import (
    EXIT_NO_PICTURE,
    EXIT_TOO_COMPLEX,
    PDF,
    Inspection,
    TooComplex,
    too_complex,
)


def main(parent: str, seconds: str, content_type: str, page: str = "") -> int:
    """Return the exit status: 0, `EXIT_TOO_COMPLEX`, or `EXIT_NO_PICTURE`.

    After `seconds` nobody waits for the answer any more, so reading a scan ends before.
    """
    to_read = min(limits.OCR_SECONDS, float(seconds) - limits.ANSWER_SECONDS)
    deadline = time.monotonic() + to_read
    confine(parent=int(parent))
    content = sys.stdin.buffer.read(limits.MAX_INPUT_BYTES)
    try:
        if page:
            output = _picture(content, content_type, int(page))
        else:
            inspection = _inspect(content, content_type, deadline)
            output = json.dumps(inspection.as_json(), ensure_ascii=False).encode()
    except (MemoryError, RecursionError):
        return EXIT_TOO_COMPLEX
    except Exception:
        # Libraries that get no memory say so in many ways: std::bad_cast, or a failed import.
        if is_memory_used_up():
            return EXIT_TOO_COMPLEX
        raise
    if output is None:
        return EXIT_NO_PICTURE
    sys.stdout.buffer.write(output)
    sys.stdout.buffer.flush()
    return 0


# Each parser is imported for its own type only: imports are most of what a small document costs.


def _inspect(content: bytes, content_type: str, deadline: float) -> Inspection:
    try:
        if content_type == PDF:
            from applications.verification.inspection.pdf import inspect_pdf  # noqa: PLC0415 - see above

            return inspect_pdf(content, deadline)
        from applications.verification.inspection.image import inspect_image  # noqa: PLC0415 - see above

        return inspect_image(content, content_type, deadline)
    except TooComplex as error:
        return too_complex(str(error), content_type)


def _picture(content: bytes, content_type: str, page: int) -> bytes | None:
    if content_type == PDF:
        from applications.verification.inspection.pdf import picture_of_page  # noqa: PLC0415 - see above

        return picture_of_page(content, page)
    from applications.verification.inspection.image import picture_of_image  # noqa: PLC0415 - see above

    return picture_of_image(content, content_type)


if __name__ == "__main__":
    # Nothing is left to clean up, and the parsers' libraries may do worse at it than the kernel.
    os._exit(main(*sys.argv[1:]))
