"""The gauge of accepted applications."""

from __future__ import annotations

from django.db.models import Exists, OuterRef
from django.utils.translation import ngettext_lazy

from applications.models import DOCUMENTS_IN_WORK, PAYMENT_IN_WORK, TERMINAL_STATUSES, Application
from outbox.conservation import MAX_EXAMPLES, Finding, gauge
from outbox.models import UNFINISHED_STATES, Outbox, State


@gauge(
    "lost_applications",
    says=ngettext_lazy(
        "%d application waits for a step that nothing will make.",
        "%d applications wait for a step that nothing will make.",
    ),
    page="application-trace",
)
def lost_applications() -> Finding:
    """Applications whose next step is ours, and nothing is left that would make it.

    A live row will make it, a dead letter waits for staff, and a discarded one was dropped by a
    named person. All others wait for their student or for a reviewer, or are done.
    """
    lost = Application.objects.filter(
        (DOCUMENTS_IN_WORK & ~_has_row("verify_document"))
        | (PAYMENT_IN_WORK & ~_has_row("create_payment"))
    ).exclude(status__in=TERMINAL_STATUSES)
    # Implied by the above, and what the index of applications in work is made of.
    ids = list(lost.filter(DOCUMENTS_IN_WORK | PAYMENT_IN_WORK).values_list("pk", flat=True))
    return Finding(len(ids), ids[:MAX_EXAMPLES])


def _has_row(queue: str) -> Exists:
    return Exists(
        Outbox.objects.filter(
            aggregate_id=OuterRef("pk"),
            queue=queue,
            state__in=[*UNFINISHED_STATES, State.DEAD, State.DISCARDED],
        )
    )
