"""Whether this process lives, whether it can serve, and what documents are not checked for."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from applications.verification import malware
from applications.verification.inspection import ocr

logger = logging.getLogger(__name__)

# How long what clamd last said is good enough.
PING_AGAIN_SECONDS = 5.0


class Scanner:
    """What clamd last said to this process: whoever asks, it is pinged only now and then."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._asked_at = float("-inf")
        self._is_up = False

    def state(self) -> str:
        """Return "notConfigured", "up" or "down"; takes `malware.PING_SECONDS` at the most."""
        if not settings.CLAMD_ADDRESS:
            return "notConfigured"
        with self._lock:
            now = self._clock()
            if now - self._asked_at >= PING_AGAIN_SECONDS:
                self._is_up = malware.is_up()
                self._asked_at = now
            return "up" if self._is_up else "down"


scanner = Scanner()


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """The process answers; nothing else is looked at, so that a restart is asked for rightly."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """The database answers, and nothing else counts: without Redis, OCR or a malware scanner
    submissions are taken in all the same. What documents are checked with is said for staff.
    """
    checked_with = {"ocr": _ocr_state(), "malwareScanner": scanner.state()}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (DatabaseError, InterfaceError) as error:
        logger.warning("not ready error=%s", error)
        return JsonResponse(
            {"status": "unavailable", "database": "down", **checked_with}, status=503
        )
    return JsonResponse({"status": "ok", "database": "up", **checked_with})


def _ocr_state() -> str:
    """Return "missing" without Tesseract, "incomplete" if it lacks a language, or "available"."""
    languages = ocr.available_languages()
    if not languages:
        return "missing"
    return "available" if set(languages) == set(ocr.LANGUAGES) else "incomplete"
