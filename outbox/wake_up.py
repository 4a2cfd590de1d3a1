"""Waiting for the next reason to tick: a commit with new rows, a stopping cluster, or time."""

from __future__ import annotations

import logging
import select
from types import TracebackType

import psycopg
from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connections

from outbox.draining import drain_reader
from outbox.queues import CHANNEL

logger = logging.getLogger(__name__)


class WakeUp:
    """Listens for `publish` on a connection of its own; without one, waiting only takes longer."""

    def __init__(self) -> None:
        self._listener: psycopg.Connection | None = None

    def __enter__(self) -> WakeUp:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def wait(self, seconds: float) -> None:
        """Return at a notification, when the cluster stops, or after `seconds`.

        Returns at once when it has only just begun to listen: rows may have been written before.
        """
        drain = drain_reader()
        drains = [] if drain is None else [drain]
        if self._listener is None:
            if not self._listen():
                select.select(drains, [], [], seconds)
            return
        listener = self._listener.fileno()
        ready, _, _ = select.select([listener, *drains], [], [], seconds)
        if listener in ready:
            self._consume(self._listener)

    def _listen(self) -> bool:
        wrapper = connections.create_connection(DEFAULT_DB_ALIAS)
        try:
            with wrapper.cursor() as cursor:
                cursor.execute(f"LISTEN {CHANNEL}")
        except (DatabaseError, InterfaceError) as error:
            logger.warning("listen failed error=%s", error)
            return False
        self._listener = wrapper.connection
        return True

    def _consume(self, listener: psycopg.Connection) -> None:
        """Take all notifications there are: one tick serves them all."""
        try:
            for _ in listener.notifies(timeout=0):
                pass
        except psycopg.Error as error:
            logger.warning("listener lost error=%s", error)
            self._close()

    def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        self._listener = None
