"""Real processes: clusters of django-q2 that work, are killed, and are told to stop."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from applications.models import Application, ApplicationEvent, ApplicationFile
from notifications.models import Mail
from outbox.models import Outbox, RelayRun
from outbox.watchdog import relay_is_stale
from tests.factories import ApplicationFactory, ApplicationFileFactory, OutboxFactory
from tests.integration.clusters import members, running_clusters
from tests.integration.concurrently import another_connection, ask, wait_until
from tests.outbox.rows import move_time, outcomes, state_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def file(tmp_path: Path) -> ApplicationFile:
    """A document that is no PDF at all: a finding, not an error."""
    file = ApplicationFileFactory.create()
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / file.storage_name).write_bytes(b"not a document")
    return file


def mail_row(application: Application | None = None) -> Outbox:
    application = application or ApplicationFactory.create()
    return OutboxFactory.create(
        handler="send_received_mail",
        queue="send_email",
        aggregate_id=application.id,
        max_attempts=2,
    )


def document_row(file: ApplicationFile) -> Outbox:
    return OutboxFactory.create(
        event_type="document_uploaded",
        handler="verify_document",
        queue="verify_document",
        aggregate_id=file.application_id,
        payload={"fileId": str(file.id)},
    )


def hold(other: BaseDatabaseWrapper, application_id: object) -> None:
    """Lock the application, so that an attempt that begins to work on it has to wait."""
    other.set_autocommit(False)
    ask(other, "SELECT 1 FROM applications_application WHERE id = %s FOR UPDATE", application_id)


def wait_for_worker(row: Outbox) -> int:
    """Wait until a worker has begun the row's attempt and waits for the lock; return its pid."""
    wait_until(lambda: state_of(row) == "processing", what="a worker claims the row")
    wait_until(
        lambda: ask(
            connection,
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0",
        ),
        what="the worker waits for the lock",
    )
    row.refresh_from_db()
    return int(row.worker.rpartition(":")[2])


def test_clusters_deliver_and_stop_when_they_are_told(tmp_path):
    rows = [mail_row() for _ in range(30)]

    with running_clusters("relay", "send_email", state_dir=tmp_path) as clusters:
        wait_until(
            lambda: not Outbox.objects.exclude(state="delivered").exists(), what="all delivered"
        )
        assert not relay_is_stale()
        late = mail_row()
        wait_until(lambda: state_of(late) == "delivered", what="a late row is delivered")
        groups = [members(cluster) for cluster in clusters.values()]
        for cluster in clusters.values():
            cluster.send_signal(signal.SIGTERM)

        codes = [cluster.wait(15) for cluster in clusters.values()]
        left = [members(cluster) for cluster in clusters.values()]

    assert [len(group) for group in groups] == [6, 6]  # main, sentinel, 2 workers, and two more
    assert (codes, left) == ([0, 0], [set(), set()])
    assert [outcomes(row) for row in rows] == [[(1, "succeeded")]] * 30
    assert Mail.objects.count() == len(list((tmp_path / "mail").iterdir())) == 31
    assert RelayRun.objects.count() == 1


def test_row_of_a_killed_worker_is_delivered_by_another(tmp_path, file):
    row = document_row(file)

    with another_connection() as other:
        hold(other, file.application_id)
        with running_clusters("relay", "verify_document", state_dir=tmp_path):
            killed = wait_for_worker(row)
            os.kill(killed, signal.SIGKILL)
            other.rollback()
            move_time(row, "lease_expires_at", -1)
            wait_until(lambda: state_of(row) == "delivered", what="another worker delivers it")
        other.set_autocommit(True)

    row.refresh_from_db()
    assert outcomes(row) == [(1, "lease_expired"), (2, "succeeded")]
    assert row.attempt_count == 2
    assert int(row.worker.rpartition(":")[2]) != killed
    events = ApplicationEvent.objects.order_by("id").values_list("event", flat=True)
    assert list(events) == ["verification_started", "document_rejected"]


def test_cluster_that_is_told_to_stop_ends_its_attempt_and_begins_no_other(tmp_path, file):
    row, others = document_row(file), []

    with another_connection() as other:
        hold(other, file.application_id)
        with running_clusters("relay", "verify_document", state_dir=tmp_path) as clusters:
            cluster = clusters["verify_document"]
            wait_for_worker(row)
            # The same application: these can't be delivered before the lock is released.
            others = [
                document_row(ApplicationFileFactory.create(application=file.application))
                for _ in range(6)
            ]
            wait_until(
                lambda: Outbox.objects.filter(state="processing").count() == 2,
                what="the other worker waits too",
            )
            cluster.send_signal(signal.SIGTERM)
            wait_until(lambda: len(members(cluster)) < 6, what="the cluster begins to stop")
            other.rollback()
            code = cluster.wait(15)
            left = members(cluster)
        other.set_autocommit(True)

    assert (code, left, outcomes(row)) == (0, set(), [(1, "succeeded")])
    assert not Outbox.objects.filter(state="processing").exists()
    assert sum(bool(outcomes(waiting)) for waiting in others) == 1


def test_killed_relay_loses_nothing(tmp_path):
    before = mail_row()
    with running_clusters("relay", state_dir=tmp_path):
        wait_until(lambda: state_of(before) == "queued", what="the relay works")
    during = mail_row()

    with running_clusters("relay", "send_email", state_dir=tmp_path):
        wait_until(
            lambda: [state_of(row) for row in (before, during)] == ["delivered"] * 2,
            what="both rows are delivered",
        )

    assert [outcomes(row) for row in (before, during)] == [[(1, "succeeded")]] * 2
