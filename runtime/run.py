"""`python -m runtime run`: the whole system, until Ctrl-C."""

from __future__ import annotations

import os

from runtime import ports
from runtime.console import Console
from runtime.exceptions import RuntimeProblem
from runtime.state import StateDir
from runtime.stopping import StopRequest
from runtime.system import System, clean_up_after_killed

ADDRESSES = """
Sluice runs at {address}

  Student   student@example.com   password sluice-demo   {address}
  Staff     staff@example.com     password sluice-demo   {address}/admin/
  API       {address}/docs

  Data and logs are in {state_dir}. Ctrl-C stops everything.
"""


def run(console: Console, stop: StopRequest) -> int:
    """Run the system of STATE_DIR at 127.0.0.1:PORT; return 0 after a stop by signal."""
    port = _port_from_environment()
    state = StateDir.from_environment()
    state.open()
    clean_up_after_killed(state, console)
    if not ports.is_free(port):
        raise RuntimeProblem(f"Port {port} is in use. Choose another: PORT={port + 1} make run")
    system = System(state, port=port, console=console, stop=stop)
    try:
        system.start()
        console.say(ADDRESSES.format(address=system.address, state_dir=state.path))
        system.supervisor.run(stop)
    finally:
        system.stop()
    return 0


def _port_from_environment() -> int:
    text = os.environ.get("PORT") or "8000"
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise RuntimeProblem(f"PORT must be a number from 1 to 65535, not {text!r}.")
    return int(text)
