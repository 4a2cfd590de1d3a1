"""Finds programs that come in Python packages."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from runtime.exceptions import RuntimeProblem


def package_dir(name: str) -> Path:
    """Return a package's folder without importing it: an import may make folders and locks."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeProblem(f"{name} is not installed; see requirements.txt.")
    return Path(spec.submodule_search_locations[0])
