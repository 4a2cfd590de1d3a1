"""The races of the status cache, each in the order that would hurt."""

from __future__ import annotations

import uuid

import pytest
import redis
from django.db import connection, transaction
from redis import ConnectionPool

from applications import read_model, services
from applications.models import Application, PaymentState
from outbox.redis_client import client as redis_client
from tests.factories import ApplicationFactory
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def application(db: None) -> Application:
    return ApplicationFactory.create()


def change(application: Application, state: PaymentState = PaymentState.AWAITING) -> None:
    with transaction.atomic():
        services.record_payment(application_id=application.pk, payment=state, event=None)


def commit_and_die(application: Application, state: PaymentState, monkeypatch) -> None:
    """Make a change whose writer is killed between its commit and the cache."""
    with monkeypatch.context() as patch:
        patch.setattr(read_model, "unmark", lambda *args, **kwargs: None)
        change(application, state)


def cached(application: Application) -> str | None:
    """Return the status that a reader is given without the database."""
    view, _terms = read_model.read(application.pk)
    return None if view is None else view.document["status"]


def shown(application: Application) -> str:
    view = read_model.get(application.pk)
    assert view is not None
    return view.document["status"]


def mark_key(application: Application) -> str:
    return f"status:{application.pk}:mark"


def test_get_fills_the_cache_and_then_needs_no_query(application, django_assert_num_queries):
    first = read_model.get(application.pk)

    with django_assert_num_queries(0):
        assert read_model.get(application.pk) == first
    assert cached(application) == "submitted"


def test_get_of_an_unknown_application_is_none(db):
    assert read_model.get(uuid.uuid4()) is None


def test_a_change_is_seen_at_once(application):
    assert shown(application) == "submitted"

    change(application)

    assert cached(application) is None
    assert shown(application) == "awaiting_payment"
    assert cached(application) == "awaiting_payment"


def test_a_reader_that_read_before_the_commit_cannot_bring_the_old_state_back(application):
    _, terms = read_model.read(application.pk)
    old = read_model.load(application.pk)
    change(application)

    assert read_model.fill(application.pk, old, terms) is False
    assert shown(application) == "awaiting_payment"


def test_nor_can_it_after_a_newer_reader_has_filled(application):
    _, terms = read_model.read(application.pk)
    old = read_model.load(application.pk)
    change(application)
    shown(application)

    assert read_model.fill(application.pk, old, terms) is False
    assert cached(application) == "awaiting_payment"


def test_a_reader_does_not_fill_between_mark_and_commit(application):
    _, terms = read_model.read(application.pk)
    old = read_model.load(application.pk)
    with transaction.atomic():
        services.record_payment(
            application_id=application.pk, payment=PaymentState.AWAITING, event=None
        )
        assert read_model.fill(application.pk, old, terms) is False
        assert read_model.read(application.pk) == (None, None)

    assert shown(application) == "awaiting_payment"


def test_a_filled_entry_is_dropped_by_the_mark(application):
    assert shown(application) == "submitted"

    read_model_state = []
    with transaction.atomic():
        services.record_payment(
            application_id=application.pk, payment=PaymentState.AWAITING, event=None
        )
        read_model_state.append(read_model.read(application.pk))
        transaction.set_rollback(True)

    assert read_model_state == [(None, None)]
    assert shown(application) == "submitted"


def test_two_writers_keep_the_cache_shut_until_both_are_done(application):
    read_model_calls = []
    with transaction.atomic():
        read_model.mark(application.pk, version=2)
        with transaction.atomic():
            read_model.mark(application.pk, version=3)
        read_model_calls = [call for _, call, *_ in connection.run_on_commit]
    # Both have been run by the commit; a third writer's mark is still there.
    token = "third"
    redis_client().set(mark_key(application), token, ex=10)
    for call in read_model_calls:
        call()
    assert read_model.read(application.pk) == (None, None)

    read_model.unmark(application.pk, token=token, version=4)
    assert redis_client().exists(mark_key(application)) == 0
    assert redis_client().hget(f"status:{application.pk}", "version") == b"4"


def test_a_slow_unmark_does_not_lower_the_version(application):
    change(application)
    change(application, PaymentState.PAID)
    view = read_model.get(application.pk)

    read_model.unmark(application.pk, token="of the first", version=2)

    assert cached(application) == view.document["status"] == "completed"


def test_a_writer_that_dies_after_its_commit_leaves_nobody_with_the_old_state(
    application, monkeypatch
):
    _, terms = read_model.read(application.pk)
    old = read_model.load(application.pk)
    assert shown(application) == "submitted"

    commit_and_die(application, PaymentState.AWAITING, monkeypatch)

    assert cached(application) is None
    assert shown(application) == "awaiting_payment"
    assert cached(application) is None, "the mark is still there"
    assert read_model.fill(application.pk, old, terms) is False


def test_the_new_state_is_cached_once_the_mark_of_a_dead_writer_is_gone(
    application, monkeypatch, settings
):
    assert shown(application) == "submitted"  # and cached for longer than the mark
    settings.STATUS_MARK_SECONDS = 1
    commit_and_die(application, PaymentState.AWAITING, monkeypatch)
    wait_until(lambda: not redis_client().exists(mark_key(application)))

    assert shown(application) == "awaiting_payment"
    assert cached(application) == "awaiting_payment"


def test_a_reader_that_was_suspended_too_long_does_not_fill(application):
    _, terms = read_model.read(application.pk)
    view = read_model.load(application.pk)
    late = read_model.FillTerms(read_at=terms.read_at - 2, epoch=terms.epoch)

    assert read_model.fill(application.pk, view, late) is False
    assert read_model.fill(application.pk, view, terms) is True


def test_a_mark_outlives_every_reader_that_read_before_it(settings):
    assert settings.STATUS_FILL_SECONDS + 1 < settings.STATUS_MARK_SECONDS
    assert settings.STATUS_MARK_SECONDS > settings.IDLE_TRANSACTION_SECONDS
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchone() == (f"{settings.IDLE_TRANSACTION_SECONDS}s",)


def test_a_reader_from_before_redis_was_emptied_does_not_fill(application, monkeypatch):
    _, terms = read_model.read(application.pk)
    old = read_model.load(application.pk)
    commit_and_die(application, PaymentState.AWAITING, monkeypatch)
    redis_client().flushdb()  # the mark of the dead writer is lost

    assert read_model.fill(application.pk, old, terms) is False
    assert shown(application) == "awaiting_payment"
    assert read_model.fill(application.pk, old, terms) is False
    assert cached(application) == "awaiting_payment"


def test_without_redis_the_database_answers(application, monkeypatch):
    assert shown(application) == "submitted"
    away = redis.Redis(connection_pool=ConnectionPool(host="127.0.0.1", port=1))
    with monkeypatch.context() as patch:
        patch.setattr(read_model, "client", lambda: away)
        change(application, PaymentState.PROCESSING)
        assert shown(application) == "processing_payment"


def test_an_entry_expires(application, settings):
    shown(application)

    expires_in = redis_client().ttl(f"status:{application.pk}")
    assert 0 < expires_in <= settings.STATUS_CACHE_SECONDS
