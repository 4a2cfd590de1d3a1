"""Why a row waits and what a queue is doing, in words for staff."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from outbox.models import Priority, QueueControl
from outbox.queues import queues
from outbox.waiting import MAX_AHEAD, Cause, Reason

SENTENCES: dict[Cause, Promise] = {
    Cause.NO_QUEUE: _("Its queue does not exist any more"),
    Cause.LEASED: _("Leased by worker %(worker)s since %(at)s"),
    Cause.LEASE_EXPIRED: _("Worker %(worker)s is gone; the relay will take the row back"),
    Cause.PAUSED: _("The queue has been paused since %(at)s"),
    Cause.BREAKER_OPEN: _("Circuit breaker open; next probe at %(at)s"),
    Cause.BACKING_OFF: _("Backs off after a failed attempt until %(at)s"),
    Cause.NOT_DUE: _("Not due until %(at)s"),
    Cause.NO_WORKER: _("No live worker on this queue"),
    Cause.NEXT: _("Starts next"),
}

MINUTE, HOUR, DAY = 60, 3600, 86_400


def why(reason: Reason) -> str:
    """Return the reason as a sentence without its full stop."""
    if reason.cause == Cause.BEHIND:
        return _behind(reason)
    if reason.cause == Cause.BREAKER_OPEN and (reason.at is None or reason.at <= timezone.now()):
        return str(_("Circuit breaker open; a probe is due"))
    return str(SENTENCES[reason.cause]) % {"worker": reason.worker, "at": moment(reason.at)}


def _behind(reason: Reason) -> str:
    if reason.has_more_ahead:
        return str(_("Behind more than %s rows that start before it")) % grouped(MAX_AHEAD)
    text = ngettext(
        "Behind %s row that starts before it", "Behind %s rows that start before it", reason.ahead
    )
    return text % grouped(reason.ahead)


def moment(at: datetime | None) -> str:
    """Return the time of day to the second and with its zone, with the date if not today."""
    if at is None:
        return "–"
    local = timezone.localtime(at)
    is_today = local.date() == timezone.localdate()
    time = date_format(local, "TIME_FORMAT" if is_today else "DATETIME_FORMAT")
    return f"{time}\N{NO-BREAK SPACE}{local.tzname()}"


def grouped(number: int) -> str:
    """Return the number as people write it: 1,000."""
    return number_format(number, force_grouping=True)


def about(seconds: float) -> str:
    """Return a duration as one rounded number in the unit that suits it."""
    if seconds < 1:
        return str(_("under 1 s"))
    if seconds < 1.5 * MINUTE:
        return str(_("about %d s")) % round(seconds)
    if seconds < 1.5 * HOUR:
        return str(_("about %d min")) % round(seconds / MINUTE)
    if seconds < 2 * DAY:
        return str(_("about %d h")) % round(seconds / HOUR)
    return str(_("about %s days")) % grouped(round(seconds / DAY))


def states(control: QueueControl) -> list[tuple[str, str]]:
    """Return (key, word) of all that the queue is in: running, or what holds it back."""
    if control.name not in queues():
        return [("gone", str(_("not in the settings")))]
    held = []
    if control.paused_at:
        held.append(("paused", str(_("paused"))))
    if control.opened_at:
        held.append(("open", str(_("breaker open"))))
    return held or [("running", str(_("running")))]


def holding_back(control: QueueControl) -> list[str]:
    """Return a line each on the pause, the breaker and the rate limit: who, since when, and why."""
    lines = []
    if control.paused_at:
        since = {"who": control.paused_by or _("a command"), "at": moment(control.paused_at)}
        lines.append(str(_("By %(who)s since %(at)s")) % since)
        lines.append(str(_("“%s”")) % control.pause_reason)
    if control.opened_at:
        since = {"at": moment(control.opened_at), "probe": moment(control.probe_at)}
        lines.append(str(_("Open since %(at)s, next probe at %(probe)s")) % since)
        lines.append(control.cause)
    queue = queues().get(control.name)
    if queue and queue.rate_per_second is not None:
        rate = number_format(queue.rate_per_second)
        lines.append(str(_("At most %s attempts begin per second")) % rate)
    return list(filter(None, lines))


def waiting(control: QueueControl) -> list[str]:
    """Return how many wait in each priority that any wait in, most urgent first."""
    return [
        f"{grouped(count)} {Priority(priority).label}"
        for priority, count in enumerate(control.waiting)
        if count
    ]


def drain(control: QueueControl) -> str:
    """Return the measured drain: attempts per second."""
    if control.drain_per_second is None:
        return str(_("unknown"))
    decimals = 1 if control.drain_per_second >= 1 else 2
    return f"{number_format(control.drain_per_second, decimals)}/s"


def worth(control: QueueControl) -> str:
    """Return how long the backlog takes at the measured drain."""
    backlog = sum(control.waiting)
    if not backlog:
        return "–"
    if not control.drain_per_second:
        return str(_("unknown"))
    return about(backlog / control.drain_per_second)
