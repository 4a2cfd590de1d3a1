"""Requests with one key at the same moment, on real connections."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from applications import idempotency
from applications.models import Application, IdempotencyKey
from applications.validation import Draft
from tests.applications.conftest import client_of
from tests.applications.documents import PDF_HEAD
from tests.applications.submissions import STATEMENT, assert_problem, stored_files, submit, upload
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def in_thread(pool: ThreadPoolExecutor, function: Callable[[], Any]) -> Future[Any]:
    """Run the function on a connection of its own, closed afterwards."""

    def run() -> Any:
        try:
            return function()
        finally:
            connection.close()

    return pool.submit(run)


def wait_until_somebody_waits_for_a_lock() -> None:
    def waiting() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
            return bool(cursor.fetchone()[0])

    wait_until(waiting)


@pytest.fixture
def draft() -> Draft:
    return Draft(personal_statement=STATEMENT, files=[])


def test_two_requests_at_the_same_moment_make_one_application(student, storage_dir):
    barrier = threading.Barrier(2)

    def send() -> Any:
        barrier.wait()
        return submit(client_of(student), upload(), key="k")

    with ThreadPoolExecutor(2) as pool:
        answers = [future.result() for future in [in_thread(pool, send) for _ in range(2)]]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].content == answers[1].content
    assert sorted("Idempotency-Replayed" in answer for answer in answers) == [False, True]
    assert Application.objects.count() == 1
    assert stored_files(storage_dir) == [PDF_HEAD]


def test_many_requests_at_the_same_moment_make_one_application(student, storage_dir):
    barrier = threading.Barrier(6)

    def send() -> Any:
        barrier.wait()
        return submit(client_of(student), upload(), key="k")

    with ThreadPoolExecutor(6) as pool:
        answers = [future.result() for future in [in_thread(pool, send) for _ in range(6)]]

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert (Application.objects.count(), len(stored_files(storage_dir))) == (1, 1)


def test_a_request_waits_for_the_first_and_then_gives_up(student, storage_dir, settings):
    settings.IDEMPOTENCY_WAIT_SECONDS = 0.3
    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        idempotency.claim(idempotency.Claim(student, idempotency.SUBMISSION, "k", "f" * 64))
        response = in_thread(pool, lambda: submit(client_of(student), upload(), key="k")).result()
        transaction.set_rollback(True)

    assert_problem(response, 409, "idempotency_key_in_use")
    assert response["Retry-After"] == "2"
    assert stored_files(storage_dir) == []
    assert submit(client_of(student), upload(), key="k").status_code == 202


def test_a_request_takes_over_when_the_first_rolls_back(student, storage_dir):
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            idempotency.claim(idempotency.Claim(student, idempotency.SUBMISSION, "k", "f" * 64))
            second = in_thread(pool, lambda: submit(client_of(student), upload(), key="k"))
            wait_until_somebody_waits_for_a_lock()
            transaction.set_rollback(True)
        response = second.result()

    assert (response.status_code, "Idempotency-Replayed" in response) == (202, False)
    assert Application.objects.count() == 1
    assert stored_files(storage_dir) == [PDF_HEAD]


def test_a_waiting_request_gets_the_answer_of_the_first(student, draft, storage_dir):
    claim = idempotency.Claim(student, idempotency.SUBMISSION, "k", idempotency.fingerprint(draft))
    answer = {
        "applicationId": "5b0c1c1e-7c0f-4a53-9d0e-0b8d2b8e6f5a",
        "status": "submitted",
        "progress": 25,
        "statusUrl": "/applications/5b0c1c1e-7c0f-4a53-9d0e-0b8d2b8e6f5a/status",
        "payUrl": "/payments/checkout/5b0c1c1e-7c0f-4a53-9d0e-0b8d2b8e6f5a",
    }
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            idempotency.claim(claim)
            second = in_thread(pool, lambda: submit(client_of(student), key="k"))
            wait_until_somebody_waits_for_a_lock()
            idempotency.remember(claim, answer)
        response = second.result()

    assert (response.status_code, response.json()) == (202, answer)
    assert response["Idempotency-Replayed"] == "true"
    assert Application.objects.count() == 0


def test_a_waiting_request_with_other_content_is_refused(student, storage_dir):
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            idempotency.claim(idempotency.Claim(student, idempotency.SUBMISSION, "k", "f" * 64))
            second = in_thread(pool, lambda: submit(client_of(student), upload(), key="k"))
            wait_until_somebody_waits_for_a_lock()
        response = second.result()

    assert_problem(response, 422, "idempotency_key_reused")
    assert stored_files(storage_dir) == []


def test_the_key_is_free_when_the_first_loses_its_connection(student):
    """As when its process is killed: PostgreSQL rolls back what it had written."""
    backends: queue.Queue[int] = queue.Queue()
    killed = threading.Event()

    @transaction.atomic
    def first() -> None:
        idempotency.claim(idempotency.Claim(student, idempotency.SUBMISSION, "k", "f" * 64))
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            backends.put(cursor.fetchone()[0])
        assert killed.wait(PATIENCE)
        Application.objects.count()

    with ThreadPoolExecutor(2) as pool:
        dying = in_thread(pool, first)
        backend = backends.get(timeout=PATIENCE)
        second = in_thread(pool, lambda: submit(client_of(student), key="k"))
        wait_until_somebody_waits_for_a_lock()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [backend])
        killed.set()
        response = second.result()
        with pytest.raises(OperationalError):
            dying.result()

    assert (response.status_code, "Idempotency-Replayed" in response) == (202, False)
    assert IdempotencyKey.objects.count() == 1


def test_an_expired_key_is_taken_over_by_one_of_two(student):
    submit(client_of(student), key="k", statement="another statement")
    IdempotencyKey.objects.update(expires_at="2000-01-01T00:00:00Z")
    barrier = threading.Barrier(2)

    def send() -> Any:
        barrier.wait()
        return submit(client_of(student), key="k")

    with ThreadPoolExecutor(2) as pool:
        answers = [future.result() for future in [in_thread(pool, send) for _ in range(2)]]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].content == answers[1].content
    assert Application.objects.count() == 2
