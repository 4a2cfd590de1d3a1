from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command
from django.db.models.functions import Now

from outbox import flow
from outbox.models import QueueControl, Worker

pytestmark = pytest.mark.django_db

MOMENT = datetime(2026, 1, 2, 10, 32, 5, tzinfo=UTC)


def table(capsys: pytest.CaptureFixture[str]) -> dict[str, list[str]]:
    """The cells of `queue list` by the name of the queue."""
    call_command("queue", "list")
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    return {name: [cell.strip() for cell in rest.split("  ") if cell] for name, rest in lines}


def test_pause_and_resume(capsys):
    call_command("queue", "pause", "send_email", "--reason", " maintenance ")
    assert capsys.readouterr().out == "send_email is paused.\n"
    (name,) = flow.holds()
    control = QueueControl.objects.get()
    assert (name, control.pause_reason, control.paused_by) == ("send_email", "maintenance", None)

    call_command("queue", "resume", "send_email")
    assert capsys.readouterr().out == "send_email runs.\n"
    assert flow.holds() == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pause", "no_queue", "--reason", "x"], "invalid choice: 'no_queue'"),
        (["resume", "no_queue"], "invalid choice: 'no_queue'"),
        (["pause", "send_email"], "--reason"),
        (["pause", "send_email", "--reason", " "], "say why"),
        (["pause", "send_email", "--reason", "x" * 501], "at most 500 characters"),
        ([], "pause | resume | list"),
    ],
)
def test_mistakes_are_named_and_nothing_is_done(arguments, message):
    with pytest.raises(CommandError, match=message.replace("|", r"\|")):
        call_command("queue", *arguments)

    assert flow.holds() == {}


def test_list_shows_all_queues_also_unmeasured_ones(capsys):
    QueueControl.objects.create(
        name="send_email", waiting=[1, 0, 1200, 0], drain_per_second=6.7, measured_at=Now()
    )
    Worker.objects.create(name="host:1", queue="send_email")

    assert table(capsys) == {
        "QUEUE": ["WAITING", "DRAIN/S", "WORKERS", "STATE"],
        "apply_payment_event": ["?", "?", "0 (0 busy)", "running"],
        "create_payment": ["?", "?", "0 (0 busy)", "running"],
        "send_email": ["1201", "6.70", "1 (0 busy)", "running"],
        "verify_document": ["?", "?", "0 (0 busy)", "running"],
    }


def test_list_says_what_holds_queues_back(capsys, staff):
    QueueControl.objects.create(
        name="send_email", paused_at=MOMENT, paused_by=staff, pause_reason="maintenance"
    )
    QueueControl.objects.create(
        name="create_payment", opened_at=MOMENT, probe_at=MOMENT, cause="it answers 503"
    )
    QueueControl.objects.create(name="renamed")

    assert {name: cells[-1] for name, cells in table(capsys).items()} == {
        "QUEUE": "STATE",
        "apply_payment_event": "running",
        "create_payment": "breaker open since 2026-01-02 10:32:05,"
        " next probe 2026-01-02 10:32:05: it answers 503",
        "renamed": "not in the settings",
        "send_email": f"paused by {staff.email} since 2026-01-02 10:32:05: maintenance",
        "verify_document": "running",
    }
