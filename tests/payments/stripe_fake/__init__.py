"""A small Stripe of our own: the calls that Sluice makes, over HTTP, with faults on demand."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.payments.stripe_fake import webhooks
from tests.payments.stripe_fake.faults import Faults
from tests.payments.stripe_fake.people import People
from tests.payments.stripe_fake.server import Server
from tests.payments.stripe_fake.store import Store

__all__ = ["API_KEY", "SECRET", "StripeFake", "running_stripe", "webhooks"]

API_KEY = "sk_test_51TheKeyOfTheTests"
SECRET = "whsec_the_secret_of_the_tests"


class StripeFake:
    """A running fake. `store` is what it knows, `people` act on it, `faults` go wrong in it.

    Events are kept and not sent. `deliver` sends one, so a test repeats it, mixes the order, keeps
    it back, forges it (another secret) or lets it grow old (`at`).
    """

    def __init__(self) -> None:
        self.store = Store()
        self.people = People(self.store)
        self.faults = Faults()
        self.server = Server(api_key=API_KEY, store=self.store, faults=self.faults)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def events(self, *types: str) -> list[dict[str, Any]]:
        """Return the events so far, oldest first; only those of the types, if any are named."""
        with self.store.lock:
            return [each for each in self.store.events if not types or each["type"] in types]

    def event(self, type: str) -> dict[str, Any]:
        """Return the only event of a type."""
        (event,) = self.events(type)
        return event

    def deliver(self, url: str, event: Any, secret: str = SECRET, at: int | None = None) -> int:
        """Send an event as a webhook; return the status of the answer."""
        return webhooks.deliver(url, event, secret, at=at)

    def stop(self) -> None:
        self.server.closing.set()
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def running_stripe() -> Iterator[StripeFake]:
    """Give a fake that serves in a thread of this process."""
    fake = StripeFake()
    thread = threading.Thread(target=fake.server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield fake
    finally:
        fake.stop()
        thread.join()
