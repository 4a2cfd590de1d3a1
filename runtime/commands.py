"""`python -m runtime test`, `check` and `manage`: Django commands on the right servers."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from runtime.console import Console
from runtime.exceptions import RuntimeProblem
from runtime.foreground import run_foreground
from runtime.state import PROJECT_DIR, StateDir
from runtime.stopping import StopRequest
from runtime.throwaway import throwaway_system


def test(arguments: list[str], console: Console, stop: StopRequest) -> int:
    """Run pytest on throw-away servers; return its exit code."""
    with throwaway_system(console, stop) as system:
        system.start_servers()
        return run_foreground(
            (sys.executable, "-m", "pytest", *arguments),
            env=system.environment,
            stop=stop,
            tick=system.supervisor.tick,
        )


def check(console: Console, stop: StopRequest) -> int:
    """Check settings, migrations and the OpenAPI document; return the first exit code not 0."""
    with throwaway_system(console, stop) as system, tempfile.TemporaryDirectory() as folder:
        system.start_servers()
        schema = str(Path(folder) / "openapi.yaml")
        for arguments in (
            ("manage.py", "check", "--fail-level", "WARNING"),
            ("manage.py", "makemigrations", "--check", "--dry-run"),
            ("manage.py", "spectacular", "--validate", "--fail-on-warn", "--file", schema),
            ("-m", "openapi_spec_validator", schema),
        ):
            code = run_foreground(
                (sys.executable, *arguments),
                env=system.environment,
                stop=stop,
                tick=system.supervisor.tick,
            )
            if code != 0:
                return code
    return 0


def manage(arguments: list[str]) -> int:
    """Become `manage.py` in the environment of the running system of STATE_DIR."""
    state = StateDir.from_environment()
    if not state.is_in_use() or not (environment := state.environment()):
        raise RuntimeProblem(f"Nothing runs on {state.path}. Start it first: make run")
    argv = [sys.executable, str(PROJECT_DIR / "manage.py"), *arguments]
    os.execve(sys.executable, argv, {**os.environ, **environment})  # noqa: S606 - no shell wanted
