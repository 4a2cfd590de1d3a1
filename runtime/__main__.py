"""The command line: `python -m runtime run | demo | test | check | manage`."""

from __future__ import annotations

import sys

from runtime import commands
from runtime.console import Console
from runtime.demo import demo
from runtime.exceptions import RuntimeProblem
from runtime.run import run
from runtime.stopping import Stopped, StopRequest

INTERRUPTED = 130
USAGE = """\
python -m runtime run               the whole system, until Ctrl-C
python -m runtime demo              one application through a throw-away system
python -m runtime test [PYTEST]     pytest on throw-away servers
python -m runtime check             settings, migrations and the OpenAPI document
python -m runtime manage [COMMAND]  manage.py in the running system of STATE_DIR
"""


def main(argv: list[str]) -> int:
    """Run the command; return its exit code, 130 after Ctrl-C."""
    try:
        return _dispatch(argv)
    except RuntimeProblem as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    except Stopped:
        return INTERRUPTED


def _dispatch(argv: list[str]) -> int:
    console, stop = Console(), StopRequest()
    match argv:
        case ["manage", *arguments]:
            return commands.manage(arguments)
        case ["test", *arguments]:
            stop.install()
            return commands.test(arguments, console, stop)
        case ["run" | "demo" | "check" as name]:
            stop.install()
            return {"run": run, "demo": demo, "check": commands.check}[name](console, stop)
        case _:
            sys.stderr.write(USAGE)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
