"""What the handler that eats memory gets."""

from __future__ import annotations

STEP_BYTES = 16 * 1024 * 1024
# Past this, whoever plays the kernel kills the process (`tests.chaos.oom`) …
KILLED_BYTES = 320 * 1024 * 1024
# … and if nobody does, it gets no more.
CAP_BYTES = 2 * 1024**3
