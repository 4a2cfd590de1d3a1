"""Dead letters in the admin: looked at, retried and discarded by people who may."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import User
from outbox.models import Outbox, StaffAction
from tests.factories import AttemptFactory, DeadLetterFactory, OutboxFactory, StaffFactory

pytestmark = pytest.mark.django_db

LIST = "/admin/outbox/deadletter/"


@pytest.fixture
def letter(db: None) -> Outbox:
    letter: Outbox = DeadLetterFactory.create(handler="create_payment")
    for number in (1, 2, 3):
        AttemptFactory.create(
            outbox=letter,
            number=number,
            worker=f"host:{number}",
            outcome="failed",
            error_class="ProviderError",
            error_message=f"<b>failure {number}</b>",
            traceback=f"Traceback number {number}",
        )
    return letter


def person(*permissions: str) -> User:
    user: User = StaffFactory.create(is_superuser=False)
    codenames = ["view_deadletter", "view_attempt", *permissions]
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


@pytest.fixture
def helper(client: Client) -> User:
    """Somebody who may retry and discard, signed in."""
    user = person("retry_deadletter", "discard_deadletter")
    client.force_login(user)
    return user


def decide_url(verb: str, *letters: Outbox) -> str:
    return f"{LIST}decide/{verb}/?ids={','.join(str(letter.pk) for letter in letters)}"


def test_list_shows_dead_letters_only(client, helper, letter):
    OutboxFactory.create(handler="send_received_mail")

    page = client.get(LIST).content.decode()

    assert "create_payment" in page
    assert "send_received_mail" not in page
    assert "ProviderError: &lt;b&gt;failure 3&lt;/b&gt;" in page


def test_page_shows_every_attempt_and_its_error(client, helper, letter):
    page = client.get(f"{LIST}{letter.pk}/change/").content.decode()

    for number in (1, 2, 3):
        assert f"&lt;b&gt;failure {number}&lt;/b&gt;" in page
        assert f"Traceback number {number}" in page
        assert f"host:{number}" in page


@pytest.mark.parametrize(("verb", "state"), [("retry", "pending"), ("discard", "discarded")])
def test_a_letter_is_retried_or_discarded_with_a_reason(client, helper, letter, verb, state):
    asked = client.post(LIST, {"action": verb, "_selected_action": [letter.pk]})
    assert (asked.status_code, asked["Location"]) == (302, decide_url(verb, letter))
    assert "create_payment" in client.get(asked["Location"]).content.decode()

    response = client.post(asked["Location"], {"reason": "the provider is back"})

    assert (response.status_code, response["Location"]) == (302, LIST)
    letter.refresh_from_db()
    assert (letter.state, letter.dead_reason) == (state, "")
    (action,) = StaffAction.objects.values("outbox", "action", "user", "reason")
    assert action == {
        "outbox": letter.pk,
        "action": verb,
        "user": helper.pk,
        "reason": "the provider is back",
    }


def test_a_retried_letter_has_attempts_again_and_keeps_its_history(client, helper, letter):
    client.post(decide_url("retry", letter), {"reason": "again"})

    letter.refresh_from_db()
    assert (letter.attempt_count, letter.max_attempts) == (3, 6)
    assert letter.attempts.count() == 3


def test_several_letters_are_retried_at_once(client, helper, letter):
    others = DeadLetterFactory.create_batch(2)

    client.post(decide_url("retry", letter, others[0]), {"reason": "again"})

    states = Outbox.objects.order_by("id").values_list("state", flat=True)
    assert list(states) == ["pending", "pending", "dead"]


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501])
def test_nothing_is_done_without_a_good_reason(client, helper, letter, reason):
    response = client.post(decide_url("discard", letter), {"reason": reason})

    assert list(response.context["form"].errors) == ["reason"]
    letter.refresh_from_db()
    assert (letter.state, StaffAction.objects.count()) == ("dead", 0)


def test_a_look_at_the_question_does_nothing(client, helper, letter):
    client.get(decide_url("discard", letter))
    client.get(f"{LIST}{letter.pk}/retry/", follow=True)

    letter.refresh_from_db()
    assert letter.state == "dead"


@pytest.mark.parametrize("verb", ["retry", "discard"])
def test_people_without_the_permission_are_refused_everywhere(client, letter, verb):
    other = {"retry": "discard", "discard": "retry"}[verb]
    client.force_login(person(f"{other}_deadletter"))

    listed = client.get(LIST).content.decode()
    assert f'value="{verb}"' not in listed
    assert f'value="{other}"' in listed
    client.post(LIST, {"action": verb, "_selected_action": [letter.pk]}, follow=True)
    assert client.get(decide_url(verb, letter)).status_code == 403
    assert client.post(decide_url(verb, letter), {"reason": "mine"}).status_code == 403
    assert client.get(f"{LIST}{letter.pk}/{verb}/", follow=True).status_code == 403

    letter.refresh_from_db()
    assert (letter.state, StaffAction.objects.count()) == ("dead", 0)


def test_an_unknown_verb_is_refused(client, helper, letter):
    assert client.post(decide_url("delete", letter), {"reason": "x"}).status_code == 403


@pytest.mark.parametrize("ids", ["", "abc", "0", "-1", "1,,2", "9" * 30, "٣"])
def test_ids_that_name_nothing_do_nothing(client, helper, letter, ids):
    letter.delete()
    url = f"{LIST}decide/retry/?ids={ids}"

    assert client.get(url).status_code == 200
    assert client.post(url, {"reason": "x"}).status_code == 302
    assert StaffAction.objects.count() == 0


def test_a_letter_that_a_colleague_has_retried_is_left_alone(client, helper, letter):
    Outbox.objects.update(state="pending", dead_reason="")

    response = client.post(decide_url("discard", letter), {"reason": "x"}, follow=True)

    letter.refresh_from_db()
    assert (letter.state, StaffAction.objects.count()) == ("pending", 0)
    assert "is not a dead letter" in response.content.decode()


def test_students_and_strangers_are_sent_to_sign_in(client, student, letter):
    for user in (None, student):
        if user is not None:
            client.force_login(user)
        response = client.post(decide_url("retry", letter), {"reason": "x"})
        assert response["Location"].startswith("/admin/login/")
    letter.refresh_from_db()
    assert letter.state == "dead"
