from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.db import transaction

from outbox.exceptions import NoHandler, NotInTransaction
from outbox.models import Outbox, Priority
from outbox.registry import handler
from outbox.services import Event, publish, publish_many


@pytest.mark.django_db(transaction=True)
def test_publish_writes_a_row_for_each_handler(handlers):
    @handler("thing_happened", queue="send_email")
    def first(message): ...

    @handler("thing_happened", queue="create_payment")
    def second(message): ...

    with transaction.atomic():
        published = publish(Event("thing_happened", payload={"a": 1}))

    rows = list(Outbox.objects.order_by("id").values("id", "handler", "queue", "payload", "state"))
    assert [row.pop("id") for row in rows] == published.row_ids
    assert rows == [
        {"handler": "first", "queue": "send_email", "payload": {"a": 1}, "state": "pending"},
        {"handler": "second", "queue": "create_payment", "payload": {"a": 1}, "state": "pending"},
    ]


@pytest.mark.django_db(transaction=True)
def test_publish_outside_a_transaction_is_refused(handlers):
    with pytest.raises(NotInTransaction):
        publish(Event("thing_happened"))


@pytest.mark.django_db
def test_publish_without_a_handler_is_refused(handlers):
    with pytest.raises(NoHandler):
        publish(Event("thing_happened"))


@pytest.mark.django_db
def test_publish_again_with_the_same_dedupe_key_is_deduplicated(handlers):
    @handler("thing_happened", queue="send_email")
    def first(message): ...

    publish(Event("thing_happened", dedupe_key="once"))
    again = publish(Event("thing_happened", dedupe_key="once"))

    assert (again.row_ids, again.deduplicated) == ([], 1)
    assert Outbox.objects.count() == 1


@pytest.fixture
def work(handlers):
    """The only handler of thing_happened."""

    @handler("thing_happened", queue="send_email")
    def work(message): ...


@pytest.mark.django_db
def test_publish_writes_what_the_event_says(work):
    application_id = uuid.uuid4()

    publish(
        Event(
            "thing_happened",
            payload={"file": "Zeugnis ü.pdf"},
            aggregate_id=application_id,
            priority=Priority.HIGH,
            dedupe_key="key",
            request_id="request-1",
        )
    )

    row = Outbox.objects.get()
    assert (row.event_type, row.handler, row.queue) == ("thing_happened", "work", "send_email")
    assert (row.payload, row.aggregate_id) == ({"file": "Zeugnis ü.pdf"}, application_id)
    assert (row.priority, row.dedupe_key, row.request_id) == (Priority.HIGH, "key", "request-1")
    assert (row.attempt_count, row.max_attempts, row.lease_token) == (0, 2, None)


@pytest.mark.django_db
def test_publish_without_options_is_due_now_at_normal_priority(work):
    publish(Event("thing_happened"))

    row = Outbox.objects.due().get()
    assert (row.priority, row.payload, row.aggregate_id) == (Priority.NORMAL, {}, None)
    assert (row.dedupe_key, row.request_id) == (None, "")


@pytest.mark.django_db
def test_publish_with_a_delay_is_due_later(work):
    publish(Event("thing_happened", delay_seconds=90))

    row = Outbox.objects.get()
    assert row.available_at - row.created_at == timedelta(seconds=90)
    assert not Outbox.objects.due().exists()


@pytest.mark.django_db
def test_publish_many_writes_the_rows_of_all_events_in_their_order(work, django_assert_num_queries):
    with django_assert_num_queries(1):
        published = publish_many([Event("thing_happened", payload={"n": n}) for n in range(5)])

    rows = list(Outbox.objects.order_by("id").values_list("id", "payload__n"))
    assert rows == list(zip(published.row_ids, range(5), strict=True))


@pytest.mark.django_db
def test_publish_many_with_no_events_writes_nothing(work):
    published = publish_many([])

    assert (published.row_ids, published.deduplicated) == ([], 0)


@pytest.mark.django_db
def test_publish_many_with_an_unhandled_event_writes_nothing(work):
    with pytest.raises(NoHandler):
        publish_many([Event("thing_happened"), Event("unheard_of")])
    assert Outbox.objects.count() == 0


@pytest.mark.django_db
def test_publish_many_deduplicates_within_one_statement(work):
    published = publish_many([Event("thing_happened", dedupe_key="once")] * 3)

    assert (len(published.row_ids), published.deduplicated) == (1, 2)
    assert Outbox.objects.count() == 1


@pytest.mark.django_db
def test_publish_deduplicates_for_each_handler_on_its_own(work):
    publish(Event("thing_happened", dedupe_key="once"))

    @handler("thing_happened", queue="create_payment")
    def newcomer(message): ...

    published = publish(Event("thing_happened", dedupe_key="once"))

    assert published.deduplicated == 1
    assert Outbox.objects.get(pk__in=published.row_ids).handler == "newcomer"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("state", "deduplicated"), [("delivered", 1), ("dead", 1), ("queued", 1), ("discarded", 0)]
)
def test_publish_again_makes_a_new_row_only_after_a_discard(work, state: str, deduplicated: int):
    publish(Event("thing_happened", dedupe_key="once"))
    Outbox.objects.update(state=state, dead_reason="permanent" if state == "dead" else "")

    assert publish(Event("thing_happened", dedupe_key="once")).deduplicated == deduplicated


@pytest.mark.django_db(transaction=True)
def test_publish_in_a_transaction_that_is_rolled_back_leaves_nothing(work):
    with transaction.atomic():
        publish(Event("thing_happened"))
        transaction.set_rollback(True)

    assert Outbox.objects.count() == 0


@pytest.mark.django_db
def test_publish_of_a_payload_that_is_not_json_writes_nothing(work):
    with pytest.raises(TypeError):
        publish(Event("thing_happened", payload={"when": object()}))
    assert Outbox.objects.count() == 0
