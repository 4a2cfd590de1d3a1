"""The queues: what holds them back, what waits in them, who works on it; pause and resume."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.views import ChangeList

from outbox import conservation, flow, workers
from outbox.admin import words
from outbox.admin.cells import stacked
from outbox.admin.reason_form import ReasonForm
from outbox.models import QueueControl
from outbox.read_only import ReadOnly

LABEL = "unfold/helpers/label.html"
STATE_COLOURS = {"running": "success", "paused": "warning", "open": "danger", "gone": "danger"}


class QueueList(ChangeList):
    """One page of queues, each with its live workers: asked for once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        alive = workers.live_workers()
        for control in self.result_list:
            control.live_workers = [worker for worker in alive if worker.queue == control.name]


@admin.register(QueueControl)
class QueueAdmin(ReadOnly, ModelAdmin):
    list_display = [
        "name",
        "state",
        "waiting_now",
        "worth",
        "drain",
        "live_workers",
        "measured_at",
    ]
    ordering = ["name"]
    list_select_related = ["paused_by"]
    list_before_template = "outbox/above_queues.html"
    change_form_outer_after_template = "outbox/workers.html"
    actions = ["pause", "resume"]
    actions_detail = ["pause_one", "resume_one"]
    readonly_fields = ["state", "waiting_now", "worth", "drain"]
    fieldsets = [
        (_("Now"), {"fields": ["name", "state"]}),
        (_("Backlog"), {"fields": ["waiting_now", "worth", "drain", "measured_at"]}),
    ]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return QueueList

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        more = {"broken_gauges": conservation.broken(), **(extra_context or {})}
        return cast(HttpResponse, super().changelist_view(request, more))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        name = unquote(object_id)
        mine = [worker for worker in workers.live_workers() if worker.queue == name]
        more = {"workers": mine, **(extra_context or {})}
        return cast(HttpResponse, super().change_view(request, object_id, form_url, more))

    @admin.display(description=_("state"))
    def state(self, control: QueueControl) -> SafeString:
        labels = format_html_join(
            " ",
            "{}",
            (
                [render_to_string(LABEL, {"type": STATE_COLOURS[key], "text": word})]
                for key, word in words.states(control)
            ),
        )
        return stacked(labels, words.holding_back(control))

    @admin.display(description=_("waiting"))
    def waiting_now(self, control: QueueControl) -> SafeString:
        return stacked(words.grouped(sum(control.waiting)), words.waiting(control))

    @admin.display(description=_("backlog is worth"))
    def worth(self, control: QueueControl) -> str:
        return words.worth(control)

    @admin.display(description=_("drains"))
    def drain(self, control: QueueControl) -> str:
        return words.drain(control)

    @admin.display(description=_("live workers"))
    def live_workers(self, control: Any) -> str:
        busy = sum(worker.row_id is not None for worker in control.live_workers)
        if not control.live_workers:
            return format_html(
                '<strong class="text-red-700 dark:text-red-400">{}</strong>', _("none")
            )
        numbers = {"idle": len(control.live_workers) - busy, "busy": busy}
        return str(_("%(idle)d idle, %(busy)d busy")) % numbers

    def has_pause_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return request.user.has_perm("outbox.pause_queuecontrol")

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Offer to pause a queue that runs, and to resume one that is paused."""
        paused = QueueControl.objects.filter(pk=unquote(object_id), paused_at__isnull=False)
        wanted = "resume_one" if paused.exists() else "pause_one"
        allowed = super().get_actions_detail(request, object_id)
        return [offer for offer in allowed if offer.action_name.endswith(wanted)]

    @admin.action(description=_("Pause …"), permissions=["pause"])
    def pause(self, request: HttpRequest, queryset: QuerySet[QueueControl]) -> HttpResponse:
        return _ask("pause", queryset.values_list("pk", flat=True))

    @admin.action(description=_("Resume …"), permissions=["pause"])
    def resume(self, request: HttpRequest, queryset: QuerySet[QueueControl]) -> HttpResponse:
        return _ask("resume", queryset.values_list("pk", flat=True))

    @action(description=_("Pause …"), url_path="pause", permissions=["pause"])
    def pause_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return _ask("pause", [unquote(object_id)])

    @action(
        description=_("Resume …"),
        url_path="resume",
        permissions=["pause"],
        variant=ActionVariant.PRIMARY,
    )
    def resume_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return _ask("resume", [unquote(object_id)])

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.decide)
        return [
            path("decide/<str:verb>/", view, name="outbox_queuecontrol_decide"),
            *super().get_urls(),
        ]

    def decide(self, request: HttpRequest, verb: str) -> HttpResponse:
        """Ask for the reason of a pause, or whether to resume; then do it."""
        if verb not in ("pause", "resume") or not self.has_pause_permission(request):
            raise PermissionDenied
        queues = self.get_queryset(request).select_related("paused_by").order_by("name")
        controls = [control for control in queues if control.name in request.GET.getlist("queue")]
        form = ReasonForm(request.POST or None) if verb == "pause" else None
        if request.method == "POST" and (form is None or form.is_valid()):
            reason = form.cleaned_data["reason"] if form else ""
            for control in controls:
                self._carry_out(request, verb, control, reason)
            return redirect("admin:outbox_queuecontrol_changelist")
        context = {
            **self.admin_site.each_context(request),
            "title": _("Pause queues") if verb == "pause" else _("Resume queues"),
            "rows": [
                (control, self.state(control), self.waiting_now(control)) for control in controls
            ],
            "verb": verb,
            "form": form,
            "opts": self.model._meta,
        }
        return TemplateResponse(request, "outbox/decide_queues.html", context)

    def _carry_out(
        self, request: HttpRequest, verb: str, control: QueueControl, reason: str
    ) -> None:
        user_id = cast(uuid.UUID, request.user.pk)
        try:
            if verb == "pause":
                flow.pause(queue=control.name, user_id=user_id, reason=reason)
                done = _("%s is paused. Attempts that run already end as they would.")
            else:
                flow.resume(queue=control.name, user_id=user_id)
                done = _("%s is resumed.")
        except KeyError:
            messages.warning(request, _("The settings have no queue %s any more.") % control)
            return
        # The row only knows the last pause.
        self.log_change(request, control, _("Paused: %s") % reason if reason else _("Resumed"))
        messages.success(request, done % control)


def _ask(verb: str, names: Iterable[str]) -> HttpResponseRedirect:
    query = urlencode({"queue": list(names)}, doseq=True)
    return redirect(f"{reverse('admin:outbox_queuecontrol_decide', args=[verb])}?{query}")
