"""A process that does a relay's move step only, over and over; `benchmarks.relays` starts some."""

from __future__ import annotations

import os
import time

import django

STEP_ROWS = 200  # a relay moves what the window has room for: from 10 to 1,000
EMPTY_SECONDS = 0.005


def main() -> None:
    """Say that this process is ready, then move rows until it is told to end."""
    django.setup()
    from benchmarks import sluice, starts  # noqa: PLC0415 - only after Django's setup
    from outbox import relay  # noqa: PLC0415

    relay.move_due(sluice.QUEUE, limit=STEP_ROWS)  # connects
    starts.note(os.getpid())
    while True:
        if not relay.move_due(sluice.QUEUE, limit=STEP_ROWS):
            time.sleep(EMPTY_SECONDS)


if __name__ == "__main__":
    main()
