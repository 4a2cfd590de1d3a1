"""The sidebar and the first page of the admin (setting UNFOLD)."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from applications.admin import queue
from applications.admin.review import list_url
from outbox import conservation
from outbox.models import DeadLetter
from payments.models import ProviderEvent

# A count that is shown on every page may not take long, however many there are.
COUNT_LIMIT = 99


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the groups of links that this member of staff may follow."""
    dead_letters = _link(request, _("Dead letters"), "outbox_deadletter", "error")
    dead_letters = _counted(dead_letters, DeadLetter.objects.dead())
    to_decide = _link(request, _("Documents"), "applications_applicationfile", "fact_check")
    to_decide = _counted({**to_decide, "link": list_url()}, queue.to_decide(), "warning")
    provider_events = _link(request, _("Provider events"), "payments_providerevent", "webhook")
    provider_events = _counted(provider_events, ProviderEvent.objects.filter(outcome="mismatch"))
    groups = [
        (
            _("Admissions"),
            [
                _link(request, _("Applications"), "applications_application", "school"),
                to_decide,
                _link(request, _("Payments"), "payments_payment", "payments"),
                provider_events,
                _link(request, _("Mails"), "notifications_mail", "mail"),
            ],
        ),
        (
            _("Background work"),
            [
                dead_letters,
                _link(request, _("Queues"), "outbox_queuecontrol", "stacks"),
                _link(request, _("Outbox rows"), "outbox_outbox", "outbox"),
            ],
        ),
        (
            _("People"),
            [
                _link(request, _("Users"), "accounts_user", "person"),
                _link(request, _("Groups"), "auth_group", "group"),
            ],
        ),
    ]
    allowed = [(title, [item for item in items if item["allowed"]]) for title, items in groups]
    return [{"title": title, "items": items} for title, items in allowed if items]


def _link(request: HttpRequest, title: str | Promise, model: str, icon: str) -> dict[str, Any]:
    """Return a link to the list of `model`, which is <app>_<model>; icons are Material Symbols."""
    app, _separator, name = model.partition("_")
    return {
        "title": title,
        "icon": icon,
        "link": reverse(f"admin:{model}_changelist"),
        "allowed": request.user.has_perm(f"{app}.view_{name}"),
    }


def _counted(link: dict[str, Any], rows: QuerySet[Any], variant: str = "danger") -> dict[str, Any]:
    """Return the link with the number of rows that wait for staff, if it may be followed."""
    count = rows.order_by()[: COUNT_LIMIT + 1].count() if link["allowed"] else 0
    if not count:
        return link
    badge = count if count <= COUNT_LIMIT else f"{COUNT_LIMIT}+"
    return {**link, "badge": badge, "badge_variant": variant}


def first_page(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add to the first page what must not be overlooked, for those who may see the queues."""
    may_see = request.user.has_perm("outbox.view_queuecontrol")
    return {**context, "broken_gauges": conservation.broken() if may_see else []}
