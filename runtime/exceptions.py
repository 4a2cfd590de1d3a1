"""What can stop a start, in words for the person at the terminal."""

from __future__ import annotations


class RuntimeProblem(Exception):
    """The command cannot go on; the message says why and what to do. Printed without traceback."""


class AlreadyRunning(RuntimeProblem):
    """Another supervisor holds this state directory."""


class ServerFailed(RuntimeProblem):
    """An embedded server did not come up; the message ends with the tail of its log."""
