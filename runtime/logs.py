"""The ends of log files, for messages about what went wrong."""

from __future__ import annotations

from pathlib import Path

TAIL_BYTES = 20_000


def tail(path: Path, lines: int = 15) -> str:
    """Return the last lines of a file, indented; empty if there is no such file."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        text = file.read().decode(errors="replace")
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])
