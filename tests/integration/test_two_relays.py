from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection, transaction

from outbox import window
from outbox.models import Attempt, Outbox
from outbox.redis_client import client as redis_client
from outbox.registry import handler
from outbox.relay import Relay, move_due
from outbox.repair import expire_leases, recover_lost
from tests.integration.concurrently import another_connection, ask, at_once, in_thread
from tests.outbox.conftest import ids_on_list
from tests.outbox.rows import QUEUE, leased_row, move_time, pending_row

pytestmark = pytest.mark.django_db(transaction=True)


def drain(move: Callable[[], int]) -> Callable[[], int]:
    """Move until there is nothing more; return how many in all."""

    def run() -> int:
        total = 0
        while moved := move():
            total += moved
        return total

    return run


def test_relays_at_once_queue_every_row_exactly_once():
    rows = {pending_row(priority=n % 4).id for n in range(120)}
    move = drain(lambda: move_due(QUEUE, limit=7))

    moved = at_once(move, move, move)

    queued = [row_id for priority in range(4) for row_id in ids_on_list(QUEUE, priority)]
    assert sum(moved) == 120
    assert (len(queued), set(queued)) == (120, rows)
    assert Outbox.objects.filter(state="queued").count() == 120


def test_relay_takes_other_rows_than_one_that_is_at_work():
    first, second = pending_row(), pending_row()

    with another_connection() as other, transaction.atomic():
        ask(connection, "SELECT id FROM outbox WHERE id = %s FOR UPDATE", first.id)
        moved = in_thread(lambda: move_due(QUEUE, limit=1)).result(20)
        assert moved == 1
        assert ask(other, "SELECT id FROM outbox WHERE state = 'queued'") == second.id

    assert window.ids(QUEUE) == {second.id}


def test_relays_at_once_expire_each_lease_once(handlers):
    died = []

    @handler("thing_happened", queue="send_email", on_dead=lambda m: died.append(m.id))
    def work(message): ...

    rows = [leased_row(max_attempts=1 + n % 2)[0] for n in range(40)]
    for row in rows:
        move_time(row, "lease_expires_at", -1)

    taken = at_once(expire_leases, expire_leases, expire_leases)

    assert sum(taken) == 40
    assert sorted(died) == [row.id for row in rows if row.max_attempts == 1]
    assert Outbox.objects.filter(state="pending", attempt_count=1).count() == 20
    assert Attempt.objects.filter(outcome="lease_expired").count() == 40


def test_relays_at_once_recover_each_lost_row_once():
    rows = [pending_row() for _ in range(30)]
    move_due(QUEUE, limit=30)
    redis_client().flushall()
    for row in rows:
        move_time(row, "queued_at", -60)

    recovered = at_once(lambda: recover_lost(QUEUE), lambda: recover_lost(QUEUE))

    assert sum(recovered) == 30
    assert Outbox.objects.filter(state="pending", attempt_count=0).count() == 30


def test_relays_at_once_bring_back_all_that_redis_lost():
    rows = {pending_row().id for _ in range(8)}
    Relay().tick()
    redis_client().flushall()
    Outbox.objects.update(queued_at="2000-01-01T00:00:00Z")

    def go_round() -> None:
        relay = Relay()
        relay.repair()
        relay.tick()

    at_once(go_round, go_round)

    assert window.ids(QUEUE) == rows
    assert set(Outbox.objects.values_list("state", "attempt_count")) == {("queued", 0)}
