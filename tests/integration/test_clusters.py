"""Real processes: clusters of django-q2 that work, are killed, and are told to stop."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from applications.models import Application, ApplicationEvent, ApplicationFile
from notifications.models import Mail
from outbox.models import Outbox, RelayRun
from outbox.watchdog import relay_is_stale
from tests.factories import ApplicationFactory, ApplicationFileFactory, OutboxFactory
from tests.integration.clusters import members, pid_of, running_clusters
from tests.integration.concurrently import another_connection, ask
from tests.outbox.rows import move_time, outcomes, state_of
from tests.waiting import wait_until

# Clusters load Django and fork before they do anything, several at a time.
PATIENCE = 30.0

pytestmark = pytest.mark.django_db(transaction=True)


def stored_file(state_dir: Path, application: Application) -> ApplicationFile:
    """A document that is no PDF at all: a finding, not an error."""
    content = b"not a document"
    file = ApplicationFileFactory.create(
        application=application, sha256=hashlib.sha256(content).hexdigest()
    )
    path = state_dir / "files" / file.storage_name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return file


def mail_row(application: Application | None = None) -> Outbox:
    application = application or ApplicationFactory.create()
    return OutboxFactory.create(
        handler="send_received_mail",
        queue="send_email",
        aggregate_id=application.id,
        max_attempts=2,
    )


def document_row(state_dir: Path, application: Application) -> Outbox:
    return OutboxFactory.create(
        event_type="document_uploaded",
        handler="verify_document",
        queue="verify_document",
        aggregate_id=application.id,
        payload={"fileId": str(stored_file(state_dir, application).id)},
    )


@contextmanager
def held(application: Application) -> Iterator[BaseDatabaseWrapper]:
    """Lock the application, so that an attempt that begins to work on it has to wait.

    The lock ends with a rollback on the connection that this gives, or at the latest with it.
    """
    table = Application._meta.db_table
    with another_connection() as other:
        other.set_autocommit(False)
        ask(other, f"SELECT 1 FROM {table} WHERE id = %s FOR UPDATE", application.id)
        yield other


def wait_for_workers(count: int) -> None:
    """Wait until so many workers have begun an attempt and wait for the lock."""
    blocked = """
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0
    """
    wait_until(lambda: ask(connection, blocked) == count, within=PATIENCE)


def pid_of_worker(row: Outbox) -> int:
    row.refresh_from_db()
    return pid_of(row.worker)


def test_clusters_deliver_and_stop_when_they_are_told(tmp_path):
    rows = [mail_row() for _ in range(30)]

    with running_clusters("relay", "send_email", state_dir=tmp_path) as clusters:
        wait_until(lambda: not Outbox.objects.exclude(state="delivered").exists(), within=PATIENCE)
        assert not relay_is_stale()
        late = mail_row()
        wait_until(lambda: state_of(late) == "delivered", within=PATIENCE)
        groups = [members(cluster) for cluster in clusters.values()]
        for cluster in clusters.values():
            cluster.send_signal(signal.SIGTERM)

        codes = [cluster.wait(15) for cluster in clusters.values()]
        left = [members(cluster) for cluster in clusters.values()]

    assert [len(group) for group in groups] == [6, 6]  # main, sentinel, 2 workers, and two more
    assert (codes, left) == ([0, 0], [set(), set()])
    assert [outcomes(row) for row in rows] == [[(1, "succeeded")]] * 30
    mails = "".join(file.read_text() for file in (tmp_path / "mail").iterdir())
    assert (Mail.objects.count(), mails.count("\nMessage-ID: ")) == (31, 31)
    assert RelayRun.objects.count() == 1


def test_row_of_a_killed_worker_is_delivered_by_another(tmp_path):
    application = ApplicationFactory.create()
    row = document_row(tmp_path, application)

    with (
        held(application) as other,
        running_clusters("relay", "verify_document", state_dir=tmp_path),
    ):
        wait_for_workers(1)
        killed = pid_of_worker(row)
        os.kill(killed, signal.SIGKILL)
        other.rollback()
        move_time(row, "lease_expires_at", -1)
        wait_until(lambda: state_of(row) == "delivered", within=PATIENCE)

    assert outcomes(row) == [(1, "lease_expired"), (2, "succeeded")]
    assert pid_of_worker(row) != killed
    events = ApplicationEvent.objects.order_by("id").values_list("event", flat=True)
    assert list(events) == ["verification_started", "document_rejected"]


def test_cluster_that_is_told_to_stop_ends_its_attempts_and_begins_no_other(tmp_path):
    application = ApplicationFactory.create()
    rows = [document_row(tmp_path, application) for _ in range(8)]

    with (
        held(application) as other,
        running_clusters("relay", "verify_document", state_dir=tmp_path) as clusters,
    ):
        cluster = clusters["verify_document"]
        wait_for_workers(2)
        descriptors = psutil.Process(cluster.pid).num_fds()
        cluster.send_signal(signal.SIGTERM)
        # The first thing that it does: it closes the pipe that its workers look at.
        wait_until(lambda: psutil.Process(cluster.pid).num_fds() < descriptors)
        other.rollback()
        code = cluster.wait(15)
        left = members(cluster)

    assert (code, left) == (0, set())
    assert [outcomes(row) for row in rows] == [[(1, "succeeded")]] * 2 + [[]] * 6
    assert not Outbox.objects.filter(state="processing").exists()


def test_killed_relay_loses_nothing(tmp_path):
    before = mail_row()
    with running_clusters("relay", state_dir=tmp_path):
        wait_until(lambda: state_of(before) == "queued", within=PATIENCE)
    during = mail_row()

    with running_clusters("relay", "send_email", state_dir=tmp_path):
        wait_until(
            lambda: [state_of(row) for row in (before, during)] == ["delivered"] * 2,
            within=PATIENCE,
        )

    assert [outcomes(row) for row in (before, during)] == [[(1, "succeeded")]] * 2
