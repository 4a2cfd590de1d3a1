"""The entry point of `python -m runtime`; `runtime.command_line` knows the commands."""

from __future__ import annotations

import sys

from runtime.console import Console
from runtime.exceptions import RuntimeProblem
from runtime.stopping import Stopped, StopRequest

INTERRUPTED = 130


def main(argv: list[str]) -> int:
    """Run the command; return its exit code, 130 after Ctrl-C."""
    stop = StopRequest()
    stop.install()
    try:
        # Takes a moment to load; a stop that is asked for meanwhile is already noted.
        from runtime.command_line import dispatch  # noqa: PLC0415

        return dispatch(argv, Console(), stop)
    except RuntimeProblem as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    except Stopped:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
