"""What the provider told us; events that were held are settled by staff."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.admin import ModelAdmin
from unfold.decorators import action, display

from accounts.requests import signed_in_user
from outbox.admin.reason_form import ReasonForm
from outbox.read_only import ReadOnly
from payments import events
from payments.models import ProviderEvent

OUTCOME_COLOURS: dict[str, str] = {
    ProviderEvent.Outcome.RECEIVED: "info",
    ProviderEvent.Outcome.APPLIED: "success",
    ProviderEvent.Outcome.IGNORED: "default",
    ProviderEvent.Outcome.MISMATCH: "danger",
    ProviderEvent.Outcome.SETTLED: "default",
}


@admin.register(ProviderEvent)
class ProviderEventAdmin(ReadOnly, ModelAdmin):
    list_display = ["event_id", "type", "coloured_outcome", "payment", "received_at"]
    list_select_related = ["payment"]
    list_filter = ["outcome", "type", "provider"]
    search_fields = ["=event_id"]
    search_help_text = _("The provider's id of the event")
    ordering = ["-received_at"]
    show_full_result_count = False
    actions = ["settle"]
    actions_detail = ["settle_one"]
    fieldsets = [
        (None, {"fields": ["event_id", "type", "provider", "payment", "received_at"]}),
        (_("Outcome"), {"fields": ["outcome", "settled_by", "settled_reason"]}),
        (_("What the provider said"), {"fields": ["payload"]}),
    ]

    @display(description=_("outcome"), ordering="outcome", label=OUTCOME_COLOURS)
    def coloured_outcome(self, event: ProviderEvent) -> tuple[str, str]:
        return event.outcome, event.get_outcome_display()

    def has_settle_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return request.user.has_perm("payments.settle_providerevent")

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[object]:
        """Offer to settle an event only while it is held."""
        offers: list[object] = super().get_actions_detail(request, object_id)
        event = self.get_object(request, unquote(str(object_id))) if offers else None
        return offers if event and event.outcome == ProviderEvent.Outcome.MISMATCH else []

    @admin.action(description=_("Settle …"), permissions=["settle"])
    def settle(self, request: HttpRequest, queryset: QuerySet[ProviderEvent]) -> HttpResponse:
        return _ask(queryset.values_list("pk", flat=True))

    @action(description=_("Settle …"), url_path="settle", permissions=["settle"])
    def settle_one(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return _ask([object_id])

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.decide)
        return [path("settle/", view, name="payments_providerevent_settle"), *super().get_urls()]

    def decide(self, request: HttpRequest) -> HttpResponse:
        """Ask what was done about the held events that the address names, then settle them."""
        if not (self.has_view_permission(request) and self.has_settle_permission(request)):
            raise PermissionDenied
        ids = [int(part) for part in request.GET.get("ids", "").split(",") if part.isdecimal()]
        form = ReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            self._carry_out(request, ids, form.cleaned_data["reason"])
            return redirect("admin:payments_providerevent_changelist")
        held = ProviderEvent.objects.filter(pk__in=ids, outcome=ProviderEvent.Outcome.MISMATCH)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Settle provider events"),
            "rows": held.select_related("payment").order_by("received_at"),
            "form": form,
            "opts": self.opts,
        }
        return TemplateResponse(request, "payments/admin/settle.html", context)

    def _carry_out(self, request: HttpRequest, ids: list[int], reason: str) -> None:
        settled = 0
        for event in ProviderEvent.objects.filter(pk__in=ids).order_by("received_at"):
            try:
                with transaction.atomic():
                    events.settle(
                        provider_event_id=event.pk, reason=reason, user=signed_in_user(request)
                    )
                settled += 1
            except events.NotHeld:
                why = _("%s is not held: it fitted, or a colleague has settled it.")
                messages.warning(request, why % event.event_id)
        if settled:
            text = ngettext("%d event is settled.", "%d events are settled.", settled)
            messages.success(request, text % settled)


def _ask(ids: Iterable[int]) -> HttpResponseRedirect:
    query = ",".join(str(event_id) for event_id in ids)
    return redirect(f"{reverse('admin:payments_providerevent_settle')}?ids={query}")
