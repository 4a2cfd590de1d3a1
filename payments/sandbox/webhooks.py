"""Sends events to their receivers: signed, at least once, again until a 2xx.

`Sender.send` is the only place from which an event leaves. When, and in how many copies, was
decided with the event (`payments.sandbox.events`).
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Sequence
from datetime import UTC, datetime

import httpx
from standardwebhooks import Webhook

from payments.sandbox.records import Event
from payments.sandbox.store import Store

logger = logging.getLogger(__name__)

TIMEOUT = httpx.Timeout(5, connect=2)
FIRST_BACKOFF = 0.2
LONGEST_BACKOFF = 30.0
GIVE_UP_AFTER = 3 * 24 * 3600.0


def backoff(attempts: int) -> float:
    """Return the seconds to wait after this many failed attempts (at least 1)."""
    return min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(attempts - 1, 30))


class Sender:
    """A thread that sends what is due, one event after the other, signed with every secret."""

    def __init__(self, store: Store, secrets: Sequence[str]) -> None:
        self._store = store
        self._webhooks = [Webhook(secret) for secret in secrets]
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
        # Proxy variables are ignored: the receiver is our own system, often on this machine.
        self._client = httpx.Client(timeout=TIMEOUT, trust_env=False)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Look for due events now; called after the commit that wrote one."""
        self._wake.set()

    def stop(self, timeout: float) -> bool:
        """Finish the attempt under way and return True, or False if it takes too long.

        An attempt that is cut off isn't recorded, so its event is sent again after a restart.
        """
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        if self._thread.is_alive():
            return False
        self._client.close()
        return True

    def send_due(self) -> bool:
        """Make one attempt for some due events; False if there were none."""
        events = self._store.due_events()
        for event in events:
            if self._stopping.is_set():
                break
            self.send(event)
        return bool(events)

    def send(self, event: Event) -> None:
        """Make one attempt and record how it ended; the first copy that is refused ends it."""
        for _ in range(event.copies):
            problem = self._post(event)
            if problem is not None:
                break
        attempt = event.attempts + 1
        if problem is None:
            self._store.mark_delivered(event.id)
            logger.info("event delivered id=%s attempt=%d", event.id, attempt)
            return
        age = datetime.now(UTC).timestamp() - event.created_at
        retry_in = backoff(attempt) if age < GIVE_UP_AFTER else None
        self._store.mark_failed(event.id, retry_in=retry_in)
        logger.warning(
            "event failed id=%s attempt=%d retry_in=%s problem=%s",
            *(event.id, attempt, retry_in, problem),
        )

    def _post(self, event: Event) -> str | None:
        """Return None after a 2xx, otherwise what went wrong. A redirect isn't followed."""
        now = datetime.now(UTC)
        headers = {
            "content-type": "application/json",
            "webhook-id": event.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(
                webhook.sign(event.id, now, event.body.decode()) for webhook in self._webhooks
            ),
        }
        try:
            response = self._client.post(event.url, content=event.body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return type(error).__name__
        return None if response.is_success else f"HTTP {response.status_code}"

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                if not self.send_due():
                    self._wake.wait(self._store.seconds_until_due())
            except sqlite3.Error:
                # A full disk, say. The events are still there: better late than never.
                logger.exception("events unreadable")
                self._wake.wait(1)
            # Cleared before the next look, so that no wake-up falls between the two.
            self._wake.clear()
