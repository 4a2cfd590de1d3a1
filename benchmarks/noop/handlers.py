from __future__ import annotations

from benchmarks import starts
from outbox.registry import Message, handler


@handler("bench_noop", queue="send_email")
def bench_noop(message: Message) -> None:
    starts.note(message.payload["key"])
