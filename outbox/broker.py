"""Everything that knows django-q2: its broker, its clusters, its schedule, its admin.

django-q2 pops a message without a receipt and never retries it. So Redis carries only row ids,
and what a cluster gets is made from the id at the pop: nothing is ever unpickled that came out of
a delivery queue.
"""

from __future__ import annotations

import logging
import os
import select
import sys
import time
import uuid
from typing import Any

import redis
from django.conf import settings
from django.contrib import admin
from django.db import connections, transaction
from django.utils import timezone
from django_q import conf, models  # noqa: TID251
from django_q.brokers import redis_broker  # noqa: TID251
from django_q.cluster import Cluster  # noqa: TID251
from django_q.signing import SignedPackage  # noqa: TID251
from django_q.tasks import async_task  # noqa: TID251

from outbox import window
from outbox.queues import RELAY_CLUSTER

logger = logging.getLogger(__name__)

DELIVER = "outbox.tasks.deliver"
RUN_RELAY = "outbox.tasks.run_relay"
RELAY_SCHEDULE = "outbox relay"
POP_SECONDS = 1
# A stopping cluster's pusher asks again after this, until it is told to end.
DRAINED_SECONDS = 0.1
# django-q2 would pause for ten seconds after an error of its broker.
RECONNECT_SECONDS = 0.5


class OutboxBroker(redis_broker.Redis):  # type: ignore[misc] # django-q2 is not typed
    """A queue's lists of ids, popped most urgent first; and a list of ready-made tasks.

    Only the relay's own cluster is sent tasks; the others get ids.
    """

    @property
    def queue(self) -> str:
        return str(self.list_key).removeprefix("django_q:").removesuffix(":q")

    def dequeue(self) -> list[tuple[None, bytes | str]] | None:
        """Wait up to a second for the most urgent message; survive a Redis that is away.

        A cluster that stops, or whose main process was killed, takes nothing more: what it popped
        now would only be missed.
        """
        if is_draining():
            time.sleep(DRAINED_SECONDS)
            return None
        keys = [*window.list_keys(self.queue), self.list_key]
        try:
            popped = self.connection.blpop(keys, POP_SECONDS)
        except redis.RedisError as error:
            logger.warning("dequeue failed queue=%s error=%s", self.queue, error)
            time.sleep(RECONNECT_SECONDS)
            return None
        if popped is None:
            return None
        key, body = popped
        if key.decode() == self.list_key:
            return [(None, body)]
        if not body.isdigit():
            logger.error("dropped queue=%s not an id", self.queue)
            return None
        return [(None, delivery_task(self.queue, int(body)))]

    def queue_size(self) -> int:
        return window.length(self.queue) + int(self.connection.llen(self.list_key))

    @staticmethod
    def get_connection(list_key: str | None = None) -> redis.Redis:
        # Longer than a pop may wait, or every idle pop would look like a lost connection.
        return redis.Redis.from_url(
            conf.Conf.REDIS, socket_timeout=POP_SECONDS + 4, socket_connect_timeout=POP_SECONDS
        )


def delivery_task(queue: str, row_id: int) -> str:
    """Return the signed package that makes a django-q2 worker deliver the row."""
    task: dict[str, Any] = {
        "id": uuid.uuid4().hex,
        "name": f"{queue} {row_id}",
        "func": DELIVER,
        "args": (queue, row_id),
        "kwargs": {},
        "started": timezone.now(),
    }
    return str(SignedPackage.dumps(task))


def enqueue_relay_run() -> None:
    """Ask the relay's cluster for one more run; raises `redis.RedisError`."""
    async_task(RUN_RELAY, cluster=RELAY_CLUSTER)


def write_schedules() -> None:
    """Write the schedules of the relay's cluster: a run every minute, and the periodic tasks.

    Theirs are the only ones: one that can't be read would keep django-q2 from all of them.
    """
    tasks = {RELAY_SCHEDULE: {"func": RUN_RELAY, "minutes": 1}, **settings.PERIODIC_TASKS}
    with transaction.atomic():
        models.Schedule.objects.all().delete()
        for name, task in tasks.items():
            models.Schedule.objects.create(
                name=name,
                cluster=RELAY_CLUSTER,
                schedule_type=models.Schedule.MINUTES,
                repeats=-1,
                **task,
            )


# The read end of a pipe whose only writer is the cluster's main process: readable means that the
# cluster is stopping, or that its main process is gone. None outside a cluster.
_drain_reader: int | None = None


class DrainingCluster(Cluster):  # type: ignore[misc] # django-q2 is not typed
    """A cluster whose workers can see that it has been told to stop."""

    _drain_writer = -1

    def start(self) -> int:
        global _drain_reader
        _drain_reader, self._drain_writer = os.pipe()
        os.register_at_fork(after_in_child=self._close_drain_writer)
        return int(super().start())

    def stop(self) -> bool:
        if self.sentinel is None:
            sys.exit()  # told to stop before anything was started
        self._close_drain_writer()
        return bool(super().stop())

    def _close_drain_writer(self) -> None:
        writer, self._drain_writer = self._drain_writer, -1
        if writer >= 0:
            os.close(writer)


def run_cluster(name: str) -> None:
    """Run the cluster called `name` in this process until SIGTERM or SIGINT.

    The environment variable Q_CLUSTER_NAME must say the same: django-q2 reads it at import.
    """
    if name != conf.Conf.CLUSTER_NAME:
        raise RuntimeError(f"Q_CLUSTER_NAME is {conf.Conf.CLUSTER_NAME}, not {name}.")
    if name == RELAY_CLUSTER:
        write_schedules()
        enqueue_relay_run()
    connections.close_all()  # a connection does not survive a fork
    cluster = DrainingCluster()
    cluster.start()
    cluster.sentinel.join()


def drain_reader() -> int | None:
    """Return the descriptor that becomes readable when this worker's cluster stops."""
    return _drain_reader


def is_draining() -> bool:
    """Tell whether this worker's cluster has been told to stop."""
    return _drain_reader is not None and bool(select.select([_drain_reader], [], [], 0)[0])


def unregister_admin() -> None:
    """Take django-q2's pages out of the admin: "Resubmit" there goes past the outbox row."""
    for model in (models.Schedule, models.Success, models.Failure, models.OrmQ):
        if admin.site.is_registered(model):
            admin.site.unregister(model)
