"""The unprivileged user that PostgreSQL runs as when we are root; it refuses to be root."""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

from runtime.exceptions import RuntimeProblem


@dataclass(frozen=True)
class SystemUser:
    name: str
    uid: int
    gid: int


def server_user(data_dir: Path) -> SystemUser | None:
    """Return whom to run PostgreSQL as; None means as ourselves.

    Existing data keeps its owner, even if a better user has appeared on the machine since.
    """
    if os.geteuid() != 0:
        return None
    if data_dir.exists() and data_dir.stat().st_uid != 0:
        return _user(pwd.getpwuid(data_dir.stat().st_uid))
    for name in ("postgres", "nobody"):
        try:
            return _user(pwd.getpwnam(name))
        except KeyError:
            continue
    raise RuntimeProblem("PostgreSQL cannot run as root, and there is no user postgres or nobody.")


def can_use(user: SystemUser | None, path: Path) -> bool:
    """Say whether the user can enter a folder, or read a file.

    Asks the system itself, as that user, so that access lists and mounts count too.
    """
    test = 'if [ -d "$1" ]; then [ -x "$1" ]; else [ -r "$1" ]; fi'
    return runs_as(user, ("/bin/sh", "-c", test, "sh", str(path)))


def runs_as(user: SystemUser | None, argv: tuple[str, ...]) -> bool:
    """Say whether the command can be run as that user and ends with exit code 0."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed commands
            argv,
            cwd="/",
            env={"LC_ALL": "C"},
            capture_output=True,
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=[] if user else None,
        )
    except PermissionError:
        return False
    return done.returncode == 0


def _user(entry: pwd.struct_passwd) -> SystemUser:
    return SystemUser(entry.pw_name, entry.pw_uid, entry.pw_gid)
