"""What the program gives away before it looks at a document, so that no document can take more."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

from applications.verification.inspection import limits

PR_SET_PDEATHSIG = 1  # linux/prctl.h
# What could not be had any more may have been large: an array that grows to its double.
MEMORY_SHARE = 0.85


def confine(*, parent: int) -> None:
    """Limit this process for good, and let it end with `parent`, the process that started it."""
    die_with_parent()
    if os.getppid() != parent:
        os._exit(1)  # it was gone before it could be asked for a signal
    _limit(resource.RLIMIT_AS, limits.ADDRESS_SPACE_BYTES)
    _limit(resource.RLIMIT_FSIZE, limits.FILE_BYTES)
    _limit(resource.RLIMIT_CORE, 0)
    # The signal of the soft limit tells the sandbox why the process ended, the hard one is the
    # net below it.
    _limit(resource.RLIMIT_CPU, limits.CPU_SECONDS, hard=limits.CPU_SECONDS + 1)


def die_with_parent() -> None:
    """Let the kernel kill this process when its parent ends, however that ends. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def is_memory_used_up() -> bool:
    """Tell whether this process has come near its limit on memory. Linux only; False elsewhere."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    try:
        peak = Path("/proc/self/status").read_text().partition("VmPeak:")[2].split()[0]
    except (OSError, IndexError):
        return False
    return limit != resource.RLIM_INFINITY and int(peak) * 1024 > MEMORY_SHARE * limit


def _limit(kind: int, soft: int, hard: int | None = None) -> None:
    allowed = resource.getrlimit(kind)[1]
    wanted = soft if hard is None else hard
    hard = wanted if allowed == resource.RLIM_INFINITY else min(wanted, allowed)
    resource.setrlimit(kind, (min(soft, hard), hard))
