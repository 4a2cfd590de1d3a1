"""The commands of `python -m runtime`."""

from __future__ import annotations

import sys

from runtime import commands
from runtime.console import Console
from runtime.demo import demo
from runtime.run import run
from runtime.stopping import StopRequest

USAGE = """\
python -m runtime run               the whole system, until Ctrl-C
python -m runtime demo              three applications through a throw-away system
python -m runtime test [PYTEST]     pytest on throw-away servers
python -m runtime check             settings, migrations and the OpenAPI document
python -m runtime manage [COMMAND]  manage.py in the running system of STATE_DIR
"""


def dispatch(argv: list[str], console: Console, stop: StopRequest) -> int:
    """Run the command that `argv` names; return its exit code, 2 if there is no such command."""
    stop.check()
    match argv:
        case ["run"]:
            return run(console, stop)
        case ["demo"]:
            return demo(console, stop)
        case ["test", *arguments]:
            return commands.test(arguments, console, stop)
        case ["check"]:
            return commands.check(console, stop)
        case ["manage", *arguments]:
            return commands.manage(arguments)
        case _:
            sys.stderr.write(USAGE)
            return 2
