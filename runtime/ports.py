"""Free TCP ports on 127.0.0.1."""

from __future__ import annotations

import secrets
import socket

from runtime.exceptions import RuntimeProblem

# Below the ports that systems hand out for outgoing connections: a server that is started
# again must find its port free.
FIRST, LAST = 20_000, 31_999


def is_free(port: int) -> bool:
    """Say whether a server could listen on 127.0.0.1:`port`."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do; otherwise closed connections of a former server would count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """Return a free port, at random, so that two systems that start together rarely meet."""
    for _ in range(200):
        port = FIRST + secrets.randbelow(LAST - FIRST + 1)
        if is_free(port):
            return port
    raise RuntimeProblem(f"No free port between {FIRST} and {LAST} on 127.0.0.1.")
