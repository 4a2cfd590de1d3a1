"""Everything that knows django-q2: its broker, its clusters, its schedule, its admin.

django-q2 pops a message without a receipt and never retries it. So Redis carries only row ids, which
the workers pop themselves; what a cluster gets is a turn on its queue. It prefetches no work, and
nothing is ever unpickled that came out of a delivery queue.
"""

from __future__ import annotations

import logging
import sys
import time
import uuid
from typing import Any

import redis
from django.conf import settings
from django.contrib import admin
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.utils import timezone
from django_q import conf, models  # noqa: TID251
from django_q.brokers import redis_broker  # noqa: TID251
from django_q.cluster import Cluster  # noqa: TID251
from django_q.signing import SignedPackage  # noqa: TID251
from django_q.tasks import async_task  # noqa: TID251

from outbox import window
from outbox.draining import DrainSignal, is_draining
from outbox.queues import RELAY_CLUSTER
from outbox.workers import PING_SECONDS

logger = logging.getLogger(__name__)

TAKE_TURN = "outbox.tasks.take_turn"
RUN_RELAY = "outbox.tasks.run_relay"
RELAY_SCHEDULE = "outbox relay"
POP_SECONDS = 2
# A stopping cluster's pusher asks again after this, until it is told to end.
DRAINED_SECONDS = 0.1
# django-q2 would pause for ten seconds after an error of its broker.
RECONNECT_SECONDS = 0.5


class OutboxBroker(redis_broker.Redis):  # type: ignore[misc] # django-q2 is not typed
    """Gives a queue's cluster turns to take, as many as its workers can use; ids stay in Redis
    until a worker pops them. Only the relay's cluster is sent ready-made tasks.
    """

    _gave_at = float("-inf")

    @property
    def queue(self) -> str:
        return str(self.list_key).removeprefix("django_q:").removesuffix(":q")

    def dequeue(self) -> list[tuple[None, bytes | str]] | None:
        """Wait up to two seconds for something to do; survive a Redis that is away.

        A cluster that stops, or whose main process was killed, takes nothing more: what it took
        now would only be missed.
        """
        if is_draining():
            time.sleep(DRAINED_SECONDS)
            return None
        try:
            if self.queue == RELAY_CLUSTER:
                popped = self.connection.blpop([self.list_key], POP_SECONDS)
                return [(None, popped[1])] if popped else None
            waiting = window.wait(self.connection, self.queue, POP_SECONDS)
        except redis.RedisError as error:
            logger.warning("dequeue failed queue=%s error=%s", self.queue, error)
            time.sleep(RECONNECT_SECONDS)
            waiting = 0
        return self._turns(waiting)

    def _turns(self, waiting: int) -> list[tuple[None, bytes | str]] | None:
        """Return a turn for each worker that has something to do; or for each of them, so that
        they give a sign of life, when nothing was to be done for a while."""
        now = time.monotonic()
        if not waiting and now - self._gave_at < PING_SECONDS:
            return None
        self._gave_at = now
        turns = min(waiting, conf.Conf.WORKERS) or conf.Conf.WORKERS
        return [(None, turn_task(self.queue)) for _ in range(turns)]

    def queue_size(self) -> int:
        return window.lengths(self.queue).total + int(self.connection.llen(self.list_key))

    @staticmethod
    def get_connection(list_key: str | None = None) -> redis.Redis:
        # Longer than a pop may wait, or every idle pop would look like a lost connection.
        return redis.Redis.from_url(
            conf.Conf.REDIS, socket_timeout=POP_SECONDS + 4, socket_connect_timeout=POP_SECONDS
        )


def turn_task(queue: str) -> str:
    """Return the signed package that makes a django-q2 worker take a turn on the queue."""
    task: dict[str, Any] = {
        "id": uuid.uuid4().hex,
        "name": queue,
        "func": TAKE_TURN,
        "args": (queue,),
        "kwargs": {},
        "started": timezone.now(),
    }
    return str(SignedPackage.dumps(task))


def prefer_indexes(*, connection: BaseDatabaseWrapper, **kwargs: object) -> None:
    """Let PostgreSQL plan the statements of relay and workers with their indexes.

    It plans a statement once per connection. One that was planned while the tables were still empty
    would read them from end to end until their next ANALYZE.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")


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


class DrainingCluster(Cluster):  # type: ignore[misc] # django-q2 is not typed
    """A cluster whose workers can see that it has been told to stop."""

    _drain: DrainSignal

    def start(self) -> int:
        self._drain = DrainSignal()
        return int(super().start())

    def stop(self) -> bool:
        if self.sentinel is None:
            sys.exit()  # told to stop before anything was started
        self._drain.send()
        return bool(super().stop())


def run_cluster(name: str) -> None:
    """Run the cluster called `name` in this process until SIGTERM or SIGINT.

    The environment variable Q_CLUSTER_NAME must say the same: django-q2 reads it at import.
    """
    if name != conf.Conf.CLUSTER_NAME:
        raise RuntimeError(f"Q_CLUSTER_NAME is {conf.Conf.CLUSTER_NAME}, not {name}.")
    if name == RELAY_CLUSTER:
        write_schedules()
        enqueue_relay_run()
    connection_created.connect(prefer_indexes)
    connections.close_all()  # a connection does not survive a fork
    cluster = DrainingCluster()
    cluster.start()
    cluster.sentinel.join()


def unregister_admin() -> None:
    """Take django-q2's pages out of the admin: "Resubmit" there goes past the outbox row."""
    for model in (models.Schedule, models.Success, models.Failure, models.OrmQ):
        if admin.site.is_registered(model):
            admin.site.unregister(model)
