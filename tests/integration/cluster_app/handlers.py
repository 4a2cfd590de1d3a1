"""Handlers that do what a test of a whole cluster needs. Only clusters under test import them."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from django.conf import settings

from outbox.exceptions import Unavailable
from outbox.registry import Finish, Message, handler
from outbox.services import Event, publish
from tests.integration.cluster_app.flags import Flags

LOOK_SECONDS = 0.01


def flags() -> Flags:
    return Flags(Path(settings.STATE_DIR))


def stand_at_gate() -> None:
    while flags().gate_closed.exists():
        flags().wait_here()
        time.sleep(LOOK_SECONDS)


@handler("test_nothing", queue="verify_document")
def do_nothing(message: Message) -> None:
    """End at once."""


@handler("test_gate", queue="verify_document")
def pass_gate(message: Message) -> None:
    """End at once while the gate stands open; wait for it when it is closed."""
    stand_at_gate()


@handler("test_trace", queue="verify_document")
def leave_trace(message: Message) -> Finish:
    """Wait for the gate like `pass_gate`; the effect is a row on a queue that nobody serves."""
    stand_at_gate()
    return partial(publish, Event("test_trace_left", payload={"of": message.id}))


@handler("test_trace_left", queue="create_payment")
def read_trace(message: Message) -> None: ...


@handler("test_provider", queue="create_payment")
def call_provider(message: Message) -> None:
    """Call a provider that is down while the flag says so."""
    if flags().provider_away.exists():
        raise Unavailable("connection refused")
