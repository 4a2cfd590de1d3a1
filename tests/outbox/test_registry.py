from __future__ import annotations

import uuid

import pytest

from outbox.registry import Message, find_handler, handler, handlers_of


def test_handler_is_found_by_its_name_and_its_event(handlers):
    @handler("thing_happened", queue="send_email")
    def work(message): ...

    found = find_handler("work")

    assert found is not None
    assert (found.event_type, found.queue, found.work) == ("thing_happened", "send_email", work)
    assert (found.start, found.on_dead) == (None, None)
    assert handlers_of("thing_happened") == [found]


def test_handlers_of_another_event_are_left_out(handlers):
    @handler("thing_happened", queue="send_email")
    def work(message): ...

    assert handlers_of("other_happened") == []


def test_handler_name_is_taken_only_once(handlers):
    @handler("thing_happened", queue="send_email")
    def work(message): ...

    with pytest.raises(ValueError, match="Two handlers are called work"):
        handler("other_happened", queue="send_email")(work)
    assert handlers_of("other_happened") == []


def test_handler_on_an_unknown_queue_is_refused(handlers):
    with pytest.raises(KeyError, match="no_such_queue"):
        handler("thing_happened", queue="no_such_queue")
    assert handlers == {}


def test_find_handler_of_another_release_is_none(handlers):
    assert find_handler("removed_long_ago") is None


def test_message_key_for_providers_is_the_same_in_every_attempt():
    columns = [7, "thing_happened", '{"a": 1}', uuid.UUID(int=1)]

    first = Message.from_columns([*columns, 1, "request"])
    second = Message.from_columns([*columns, 2, "request"])

    assert (first.idempotency_key, second.idempotency_key) == ("outbox-7", "outbox-7")
    assert (first.payload, second.attempt) == ({"a": 1}, 2)
