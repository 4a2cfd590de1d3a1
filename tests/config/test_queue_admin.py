"""Queues in the admin, why rows wait, and the alarm of broken gauges."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from outbox import conservation, flow
from outbox.admin import words
from outbox.models import Gauge, Outbox, QueueControl, State, Worker
from outbox.queues import queues
from outbox.waiting import Cause, Reason
from tests.factories import OutboxFactory, StaffFactory

pytestmark = pytest.mark.django_db

LIST = "/admin/outbox/queuecontrol/"
PAGE = f"{LIST}send_5Femail/change/"
ROWS = "/admin/outbox/outbox/"
LONG_AGO = datetime(2026, 1, 2, 10, 32, 5, tzinfo=UTC)


@pytest.fixture
def control(db: None) -> QueueControl:
    return QueueControl.objects.create(
        name="send_email", waiting=[1, 0, 1200, 0], drain_per_second=6.7, measured_at=Now()
    )


def person(*permissions: str) -> User:
    user: User = StaffFactory.create(is_superuser=False)
    codenames = ["view_queuecontrol", *permissions]
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


@pytest.fixture
def keeper(client: Client) -> User:
    """Somebody who may pause and resume, signed in."""
    user = person("pause_queuecontrol")
    client.force_login(user)
    return user


def decide_url(verb: str, *names: str) -> str:
    return f"{LIST}decide/{verb}/?{'&'.join(f'queue={name}' for name in names)}"


def leased(**columns: Any) -> Outbox:
    return OutboxFactory.create(
        queue="send_email",
        state=State.PROCESSING,
        attempt_count=1,
        lease_token=uuid.uuid4(),
        lease_expires_at=timezone.now() + timedelta(minutes=1),
        started_at=Now(),
        worker="host:7",
        **columns,
    )


# --- Why is it waiting? ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        (Reason(Cause.NO_QUEUE), "Its queue does not exist any more"),
        (
            Reason(Cause.LEASED, at=LONG_AGO, worker="host:7"),
            "Leased by worker host:7 since 2 Jan 2026, 10:32:05 UTC",
        ),
        (
            Reason(Cause.LEASE_EXPIRED, at=LONG_AGO, worker="host:7"),
            "Worker host:7 is gone; the relay will take the row back",
        ),
        (
            Reason(Cause.PAUSED, at=LONG_AGO),
            "The queue has been paused since 2 Jan 2026, 10:32:05 UTC",
        ),
        (Reason(Cause.BREAKER_OPEN, at=LONG_AGO), "Circuit breaker open; a probe is due"),
        (
            Reason(Cause.BREAKER_OPEN, at=LONG_AGO.replace(year=2199)),
            "Circuit breaker open; next probe at 2 Jan 2199, 10:32:05 UTC",
        ),
        (
            Reason(Cause.BACKING_OFF, at=LONG_AGO),
            "Backs off after a failed attempt until 2 Jan 2026, 10:32:05 UTC",
        ),
        (Reason(Cause.NOT_DUE, at=LONG_AGO), "Not due until 2 Jan 2026, 10:32:05 UTC"),
        (Reason(Cause.NO_WORKER), "No live worker on this queue"),
        (Reason(Cause.BEHIND, ahead=1), "Behind 1 row that starts before it"),
        (Reason(Cause.BEHIND, ahead=1000), "Behind 1,000 rows that start before it"),
        (Reason(Cause.BEHIND, ahead=1001), "Behind more than 1,000 rows that start before it"),
        (Reason(Cause.NEXT), "Starts next"),
    ],
)
def test_every_cause_is_a_sentence(reason, sentence):
    assert words.why(reason).replace("\N{NO-BREAK SPACE}", " ") == sentence


def test_no_cause_lacks_a_sentence():
    assert {*words.SENTENCES, Cause.BEHIND} == {*Cause}


def test_a_time_of_today_goes_without_its_date_and_is_of_the_viewers_zone():
    noon = timezone.now().replace(hour=12, minute=0, second=7)

    assert words.moment(noon) == "12:00:07\N{NO-BREAK SPACE}UTC"
    with timezone.override("Asia/Tokyo"):
        assert words.moment(LONG_AGO) == "2 Jan 2026, 19:32:05\N{NO-BREAK SPACE}JST"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "under 1 s"),
        (1, "about 1 s"),
        (89, "about 89 s"),
        (180, "about 3 min"),
        (5399, "about 90 min"),
        (7200, "about 2 h"),
        (200_000, "about 2 days"),
        (1e9, "about 11,574 days"),
    ],
)
def test_a_backlog_is_worth_one_rounded_number(seconds, text):
    assert words.about(seconds) == text


def test_rows_say_why_they_wait_and_finished_ones_do_not(client, staff):
    client.force_login(staff)
    waiting = OutboxFactory.create(available_at=LONG_AGO.replace(year=2199))
    done = OutboxFactory.create(state=State.DELIVERED, finished_at=Now())

    page = client.get(ROWS).content.decode()
    assert page.count("Not due until 2 Jan 2199") == 1
    assert "Not due until" in client.get(f"{ROWS}{waiting.pk}/change/").content.decode()
    assert "Why it waits" not in client.get(f"{ROWS}{done.pk}/change/").content.decode()


def test_list_of_rows_asks_once_why_they_wait(client, staff):
    client.force_login(staff)
    OutboxFactory.create()
    client.get(ROWS)  # fills what is cached for the life of the process
    counts = []
    for more in (0, 2):
        OutboxFactory.create_batch(more)
        with CaptureQueriesContext(connection) as queries:
            client.get(ROWS)
        counts.append((len(queries), sum("outbox_worker" in q["sql"] for q in queries)))

    assert counts[0] == counts[1]
    assert counts[0][1] == 1


# --- The page of queues ------------------------------------------------------------------------


def test_list_shows_backlog_and_workers(client, keeper, control):
    Worker.objects.create(name="host:1", queue="send_email")
    Worker.objects.create(name="host:2", queue="create_payment")
    leased()

    page = client.get(LIST).content.decode()

    for text in ("1,201", "1 critical", "1,200 normal", "about 3 min", "6.7/s", "1 idle, 1 busy"):
        assert text in page
    assert "running" in page


def test_list_shows_what_is_unknown_and_what_is_missing(client, keeper):
    QueueControl.objects.create(name="send_email", waiting=[0, 0, 1, 0])

    page = client.get(LIST).content.decode()

    assert page.count(">unknown<") == 2
    assert ">none<" in page


def test_list_makes_the_same_queries_for_any_number_of_queues_and_workers(client, keeper):
    counts = []
    for name in queues():
        QueueControl.objects.create(name=name, paused_at=Now(), paused_by=person())
        Worker.objects.create(name=f"{name}:1", queue=name)
        with CaptureQueriesContext(connection) as queries:
            client.get(LIST)
        counts.append(len(queries))

    assert counts[1] == counts[2]


@pytest.mark.parametrize(
    ("columns", "texts"),
    [
        (
            {"paused_at": LONG_AGO, "pause_reason": "<b>maintenance</b>"},
            ["paused", "By a command since 2 Jan 2026", "&lt;b&gt;maintenance&lt;/b&gt;"],
        ),
        (
            {"opened_at": LONG_AGO, "probe_at": LONG_AGO, "cause": "it answers <503>"},
            ["breaker open", "next probe at 2 Jan 2026", "it answers &lt;503&gt;"],
        ),
        ({"name": "renamed"}, ["not in the settings"]),
    ],
)
def test_list_says_what_holds_a_queue_back(client, keeper, columns, texts):
    QueueControl.objects.create(**{"name": "send_email", **columns})

    page = client.get(LIST).content.decode()

    assert [text for text in texts if text not in page] == []


def test_list_shows_pause_and_breaker_at_once(control):
    control.paused_at = control.opened_at = LONG_AGO

    assert [key for key, _word in words.states(control)] == ["paused", "open"]


def test_list_shows_a_rate_limit(control, settings):
    options = settings.OUTBOX_QUEUES["send_email"] | {"rate_per_second": 2}
    settings.OUTBOX_QUEUES = {"send_email": options}
    queues.cache_clear()
    try:
        assert words.holding_back(control) == ["At most 2 attempts begin per second"]
    finally:
        queues.cache_clear()


def test_list_without_rows_says_why(client, keeper):
    assert "within ten seconds of its first run" in client.get(LIST).content.decode()


def test_page_of_a_queue_shows_its_workers_and_links_to_their_rows(client, keeper, control):
    Worker.objects.create(name="host:1", queue="send_email")
    Worker.objects.create(name="host:2", queue="create_payment")
    row = leased()

    page = client.get(PAGE).content.decode()

    assert f'href="{ROWS}{row.pk}/change/"' in page
    assert ("host:1" in page, "host:7" in page, "host:2" in page) == (True, True, False)


def test_page_of_a_queue_without_workers_says_what_that_means(client, keeper, control):
    assert "nothing in it will start" in client.get(PAGE).content.decode()


def test_page_of_a_queue_that_is_not_there_leads_back(client, keeper):
    assert client.get(PAGE).status_code == 302


# --- Pause and resume --------------------------------------------------------------------------


def test_a_queue_is_paused_with_a_reason_and_resumed(client, keeper, control):
    asked = client.post(LIST, {"action": "pause", "_selected_action": ["send_email"]})
    assert (asked.status_code, asked["Location"]) == (302, decide_url("pause", "send_email"))
    assert "send_email" in client.get(asked["Location"]).content.decode()

    response = client.post(asked["Location"], {"reason": "provider's maintenance"}, follow=True)
    assert "send_email is paused." in response.content.decode()
    assert list(flow.holds()) == ["send_email"]
    control.refresh_from_db()
    assert (control.paused_by, control.pause_reason) == (keeper, "provider's maintenance")

    asked = client.post(LIST, {"action": "resume", "_selected_action": ["send_email"]})
    assert "provider&#x27;s maintenance" in client.get(asked["Location"]).content.decode()
    assert list(flow.holds()) == ["send_email"]
    client.post(asked["Location"])
    assert flow.holds() == {}


def test_history_keeps_who_paused_and_why(client, keeper, control):
    client.post(decide_url("pause", "send_email"), {"reason": "maintenance"})
    client.post(decide_url("resume", "send_email"))

    page = client.get(f"{LIST}send_5Femail/history/").content.decode()

    assert "Paused: maintenance" in page
    assert "Resumed" in page
    assert keeper.email in page


def test_several_queues_are_paused_at_once(client, keeper):
    for name in queues():
        QueueControl.objects.create(name=name)

    client.post(decide_url("pause", "send_email", "create_payment"), {"reason": "x"})

    assert set(flow.holds()) == {"send_email", "create_payment"}


@pytest.mark.parametrize(("paused", "offered"), [(False, "pause"), (True, "resume")])
def test_page_of_a_queue_offers_what_can_be_done(client, keeper, control, paused, offered):
    if paused:
        flow.pause(queue="send_email", user_id=None, reason="x")

    page = client.get(PAGE).content.decode()

    links = {verb for verb in ("pause", "resume") if f"{LIST}send_5Femail/{verb}/" in page}
    assert links == {offered}
    asked = client.get(f"{LIST}send_5Femail/{offered}/")
    assert asked["Location"] == decide_url(offered, "send_email")


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501])
def test_nothing_is_paused_without_a_good_reason(client, keeper, control, reason):
    response = client.post(decide_url("pause", "send_email"), {"reason": reason})

    assert list(response.context["form"].errors) == ["reason"]
    assert flow.holds() == {}


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_people_without_the_permission_are_refused_everywhere(client, control, verb):
    paused = verb == "resume"
    if paused:
        flow.pause(queue="send_email", user_id=None, reason="x")
    client.force_login(person("view_outbox", "retry_deadletter"))

    assert f'value="{verb}"' not in client.get(LIST).content.decode()
    assert f"/{verb}/" not in client.get(PAGE).content.decode()
    client.post(LIST, {"action": verb, "_selected_action": ["send_email"]}, follow=True)
    assert client.get(decide_url(verb, "send_email")).status_code == 403
    posted = client.post(decide_url(verb, "send_email"), {"reason": "mine"})
    assert posted.status_code == 403
    assert client.get(f"{LIST}send_5Femail/{verb}/", follow=True).status_code == 403

    assert bool(flow.holds()) is paused


def test_an_unknown_verb_is_refused(client, keeper, control):
    assert client.post(decide_url("drop", "send_email"), {"reason": "x"}).status_code == 403


@pytest.mark.parametrize("name", ["", "nothing", "%00", "a" * 300])
def test_names_of_no_queue_do_nothing(client, keeper, name):
    url = decide_url("pause", name)

    assert "no such queues" in client.get(url).content.decode()
    assert client.post(url, {"reason": "x"}).status_code == 302
    assert flow.holds() == {}


def test_a_queue_that_the_settings_lost_is_not_paused(client, keeper):
    QueueControl.objects.create(name="renamed")

    response = client.post(decide_url("pause", "renamed"), {"reason": "x"}, follow=True)

    assert "no queue renamed any more" in response.content.decode()
    assert flow.holds() == {}


def test_students_and_strangers_are_sent_to_sign_in(client, student, control):
    for user in (None, student):
        if user is not None:
            client.force_login(user)
        response = client.post(decide_url("pause", "send_email"), {"reason": "x"})
        assert response["Location"].startswith("/admin/login/")
    assert flow.holds() == {}


def test_navigation_leads_to_the_queues_only_those_who_may_see_them(client, keeper):
    assert f'href="{LIST}"' in client.get("/admin/").content.decode()

    keeper.user_permissions.set(Permission.objects.filter(codename="view_outbox"))
    assert f'href="{LIST}"' not in client.get("/admin/").content.decode()


# --- Gauges ------------------------------------------------------------------------------------


def broken_gauge(name: str, value: int, *examples: object) -> Gauge:
    return Gauge.objects.create(
        name=name, value=value, examples=list(map(str, examples)), broken_since=LONG_AGO
    )


@pytest.mark.parametrize("url", ["/admin/", LIST])
def test_a_broken_gauge_raises_the_alarm(client, keeper, url):
    lost = uuid.uuid4()
    broken_gauge("lost_applications", 1, lost)
    broken_gauge("stray_rows", 3, 42, "<b>gone</b>")
    broken_gauge("fresh_gauge", 5)
    Gauge.objects.create(name="quiet_gauge", value=0)

    page = client.get(url).content.decode()

    alarm = page[page.index('role="alert"') :]
    for text in (
        "1 application waits for a step",
        "3 outbox rows are stuck",
        "fresh_gauge: 5",
        "Since 2 Jan 2026, 10:32:05",
        f'href="/admin/applications/application/{lost}/trace/"',
        f'href="{ROWS}42/change/"',
        "&lt;b&gt;gone&lt;/b&gt;",
    ):
        assert text in alarm
    assert "quiet_gauge" not in page


@pytest.mark.parametrize("url", ["/admin/", LIST])
def test_there_is_no_alarm_while_all_gauges_are_quiet(client, keeper, url):
    Gauge.objects.create(name="stray_rows", value=0)

    assert 'role="alert"' not in client.get(url).content.decode()


def test_the_alarm_is_only_for_those_who_may_see_the_queues(client, keeper):
    broken_gauge("stray_rows", 3)
    keeper.user_permissions.set(Permission.objects.filter(codename="view_outbox"))

    assert 'role="alert"' not in client.get("/admin/").content.decode()


def test_every_gauge_is_explained_in_words(client, keeper):
    for name in conservation._checks:
        broken_gauge(name, 1)

    page = client.get(LIST).content.decode()

    assert [name for name in conservation._checks if f"{name}: 1" in page] == []
