"""A worker that is killed at a line of its attempt: `python -m tests.dying_delivery QUEUE ROW FUNCTION WHEN`.

FUNCTION is the full name of a function; WHEN says whether the process kills itself before or after
it has run.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from typing import Any

import django


def die_at(function: str, when: str) -> None:
    """Let the process be killed before or after this function runs."""
    module_name, _, name = function.rpartition(".")
    module = import_module(module_name)
    original = getattr(module, name)

    def run_and_die(*args: Any, **kwargs: Any) -> None:
        if when == "after":
            original(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(module, name, run_and_die)


def main(queue: str, row_id: str, function: str, when: str) -> None:
    django.setup()
    from tests.working import deliver_one  # noqa: PLC0415 - Django must be set up

    die_at(function, when)
    deliver_one(queue, int(row_id))


if __name__ == "__main__":
    main(*sys.argv[1:])
