from __future__ import annotations

import pytest
from django.db import transaction

from outbox.exceptions import NoHandler, NotInTransaction
from outbox.models import Outbox
from outbox.registry import handler
from outbox.services import Event, publish


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
