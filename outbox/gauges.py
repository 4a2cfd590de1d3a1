"""The outbox's own gauge."""

from __future__ import annotations

from datetime import timedelta

from django.db.models.functions import Now
from django.utils.translation import ngettext_lazy

from outbox.conservation import MAX_EXAMPLES, Finding, gauge
from outbox.models import Outbox, QueueControl, State
from outbox.queues import queues

# The relay takes an expired lease back within a second or two; this is when something is wrong.
OVERDUE = timedelta(seconds=30)


@gauge(
    "stray_rows",
    says=ngettext_lazy(
        "%d outbox row is stuck: nobody works on it.",
        "%d outbox rows are stuck: nobody works on them.",
    ),
    page="admin:outbox_outbox_change",
)
def stray_rows() -> Finding:
    """Rows that nobody will work on: leased past every deadline, in no known state, or waiting in
    a queue that does not exist (any more)."""
    overdue = Outbox.objects.filter(state=State.PROCESSING, lease_expires_at__lt=Now() - OVERDUE)
    stray = Outbox.objects.exclude(state__in=State.values)
    ids = [*overdue.values_list("pk", flat=True), *stray.values_list("pk", flat=True)]
    unread = {
        control.name: sum(control.waiting)
        for control in QueueControl.objects.exclude(name__in=queues())
        if any(control.waiting)
    }
    return Finding(len(ids) + sum(unread.values()), [*ids, *unread][:MAX_EXAMPLES])
