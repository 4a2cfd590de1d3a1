"""Handlers that a queue must survive."""

from __future__ import annotations

import os
import resource
import signal
import time

from outbox.registry import Message, handler
from tests.chaos.faulty.limits import CAP_BYTES, STEP_BYTES


@handler("chaos_hang", queue="verify_document")
def hang(message: Message) -> None:
    """Wait for longer than any time limit."""
    time.sleep(3600)


@handler("chaos_slow", queue="send_email")
def be_slow(message: Message) -> None:
    """Take so long that its worker can be found and stopped meanwhile."""
    time.sleep(3)


@handler("chaos_memory", queue="verify_document")
def eat_memory(message: Message) -> None:
    """Take memory until the process is killed."""
    resource.setrlimit(resource.RLIMIT_AS, (CAP_BYTES, CAP_BYTES))
    eaten = []
    while True:
        eaten.append(bytearray(os.urandom(16)) * (STEP_BYTES // 16))
        time.sleep(0.05)


@handler("chaos_poison", queue="create_payment")
def die(message: Message) -> None:
    """Die with the process, on every attempt."""
    os.kill(os.getpid(), signal.SIGKILL)
