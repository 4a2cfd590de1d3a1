"""Whether this process's cluster has been told to stop.

The sign is a pipe whose only writer is the cluster's main process: readable means that it has
closed it, or that it is gone. Outside a cluster there is none.
"""

from __future__ import annotations

import os
import select

_reader: int | None = None


class DrainSignal:
    """The writing end, held by the cluster's main process; made before its workers are forked."""

    def __init__(self) -> None:
        global _reader
        _reader, self._writer = os.pipe()
        os.register_at_fork(after_in_child=self.send)

    def send(self) -> None:
        """Tell the workers to stop. A child that is forked only closes its copy."""
        writer, self._writer = self._writer, -1
        if writer >= 0:
            os.close(writer)


def drain_reader() -> int | None:
    """Return the descriptor that becomes readable when this worker's cluster stops."""
    return _reader


def is_draining() -> bool:
    """Tell whether this worker's cluster has been told to stop."""
    return _reader is not None and bool(select.select([_reader], [], [], 0)[0])
