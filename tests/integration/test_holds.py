"""What holds a queue back, with real clusters: a pause, a rate limit, an open breaker."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from django.conf import settings

from outbox import flow
from outbox.flow import BREAKER_FAILURES
from outbox.models import Attempt, Outbox, Priority, QueueControl
from tests.integration.backlog import (
    PATIENCE,
    QUEUE,
    all_delivered,
    attempts_of,
    database_time,
    delivered,
    insert_rows,
    one_success_each,
    wait_for_relay,
)
from tests.integration.cluster_app.flags import Flags
from tests.integration.cluster_settings import RATE_PER_SECOND
from tests.integration.clusters import (
    CLUSTER_SETTINGS,
    Cluster,
    running_clusters,
    seen_workers,
)
from tests.outbox.rows import control_of, move_control_time
from tests.waiting import wait_until

WORKERS = settings.WORKERS_PER_QUEUE

pytestmark = pytest.mark.django_db(transaction=True)


def wait_for_workers(cluster: Cluster) -> None:
    """Wait until all workers of the cluster have had a turn."""
    wait_until(lambda: len(seen_workers(cluster)) == WORKERS, within=PATIENCE)


def states(ids: list[int]) -> set[tuple[str, int]]:
    """The states of rows with the attempts that they have used."""
    return set(Outbox.objects.filter(id__in=ids).values_list("state", "attempt_count"))


def test_rows_of_a_paused_queue_wait_over_a_restart_until_it_is_resumed(tmp_path, staff):
    flow.pause(queue=QUEUE, user_id=staff.pk, reason="provider's maintenance")
    rows = insert_rows(20)

    def see_nothing_start(cluster: Cluster) -> None:
        wait_for_workers(cluster)
        rows.extend(insert_rows(5))
        wait_for_relay()
        assert (states(rows), attempts_of(rows)) == ({("pending", 0)}, [])

    with running_clusters("relay", state_dir=tmp_path):
        with running_clusters(QUEUE, state_dir=tmp_path, settings=CLUSTER_SETTINGS) as first:
            see_nothing_start(first[QUEUE])
        with running_clusters(QUEUE, state_dir=tmp_path, settings=CLUSTER_SETTINGS) as second:
            see_nothing_start(second[QUEUE])
            flow.resume(queue=QUEUE, user_id=staff.pk)
            wait_until(lambda: all_delivered(rows), within=PATIENCE)

    assert attempts_of(rows) == one_success_each(rows)


def test_pause_stops_new_starts_at_once_while_a_backlog_is_worked_off(tmp_path, staff):
    """When the pause commits, each worker may be in the middle of one claim that can't see it."""
    rows = insert_rows(1_500)

    with running_clusters("relay", QUEUE, state_dir=tmp_path, settings=CLUSTER_SETTINGS):
        wait_until(lambda: delivered() > 100, within=PATIENCE)
        flow.pause(queue=QUEUE, user_id=staff.pk, reason="wrong letters")
        paused = database_time()
        wait_until(lambda: {state for state, _ in states(rows)} == {"delivered", "pending"})
        wait_for_relay()
        late = Attempt.objects.filter(started_at__gt=paused).count()
        done = delivered()
        flow.resume(queue=QUEUE, user_id=staff.pk)
        wait_until(lambda: all_delivered(rows), within=PATIENCE)

    assert late <= WORKERS
    assert 100 < done < 1_500
    assert attempts_of(rows) == one_success_each(rows)


def test_starts_of_a_rate_limited_queue_keep_their_distance(tmp_path):
    queue = "send_email"
    apart = timedelta(seconds=1 / RATE_PER_SECOND)

    with running_clusters(
        "relay", queue, state_dir=tmp_path, settings=CLUSTER_SETTINGS
    ) as clusters:
        wait_for_workers(clusters[queue])
        published = database_time()
        rows = insert_rows(40, queue=queue)
        wait_until(lambda: all_delivered(rows), within=PATIENCE)

    assert attempts_of(rows) == one_success_each(rows)
    starts = list(Attempt.objects.order_by("started_at").values_list("started_at", flat=True))
    too_early = [n for n, start in enumerate(starts) if start < published + n * apart]
    assert too_early == []
    assert [gap for gap in map(_gap, pairwise(starts)) if gap < apart] == []


def _gap(pair: tuple[datetime, datetime]) -> timedelta:
    before, after = pair
    return after - before


def test_breaker_opens_saves_attempts_and_closes_when_the_provider_is_back(tmp_path: Path):
    flags = Flags(tmp_path)
    flags.provider_away.touch()
    queue = "create_payment"
    first = insert_rows(BREAKER_FAILURES + WORKERS, handler="call_provider", queue=queue)

    with running_clusters("relay", queue, state_dir=tmp_path, settings=CLUSTER_SETTINGS):
        wait_until(
            lambda: QueueControl.objects.filter(opened_at__isnull=False).exists(), within=PATIENCE
        )
        opened = control_of(queue).opened_at
        # Less urgent, so that the rows of before are the probes.
        later = insert_rows(20, handler="call_provider", queue=queue, priority=Priority.LOW)
        move_control_time("probe_at", 0, queue=queue)
        wait_until(lambda: control_of(queue).failed_probes == 1, within=PATIENCE)
        held = control_of(queue)
        while_open = attempts_of(later)
        flags.provider_away.unlink()
        wait_until(lambda: all_delivered(first + later), within=PATIENCE)
        closed = control_of(queue)

    assert (held.opened_at, held.cause, while_open) == (opened, "connection refused", [])
    assert (closed.failures, closed.opened_at, closed.failed_probes) == (0, None, 0)
    assert attempts_of(later) == one_success_each(later)
    # What opened it, what was in the air meanwhile, and the probe.
    failed = Attempt.objects.filter(outcome="failed").count()
    assert BREAKER_FAILURES < failed <= BREAKER_FAILURES + WORKERS
