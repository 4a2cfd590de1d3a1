"""Dead letters as a page of their own: the history of their errors, retry and discard."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.decorators import action

from outbox import dead_letters
from outbox.admin.reason_form import ReasonForm
from outbox.admin.rows import RowAdmin
from outbox.exceptions import NotDead
from outbox.models import DeadLetter


@admin.register(DeadLetter)
class DeadLetterAdmin(RowAdmin):
    list_display = [
        "id",
        "event_type",
        "handler",
        "queue",
        "dead_reason",
        "last_error",
        "attempts_used",
        "finished_at",
    ]
    list_filter = ["queue", "dead_reason", "handler"]
    search_fields = ["=id", "=aggregate_id", "attempts__error_message"]
    search_help_text = _("Number of a row, id of an application, or words of an error")
    ordering = ["-finished_at", "-id"]
    actions = ["retry", "discard"]
    actions_detail = ["retry_one", "discard_one"]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).dead().prefetch_related("attempts")

    @admin.display(description=_("last error"))
    def last_error(self, row: DeadLetter) -> str:
        errors = [attempt for attempt in row.attempts.all() if attempt.error_class]
        return f"{errors[-1].error_class}: {errors[-1].error_message[:120]}" if errors else "–"

    def has_retry_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return request.user.has_perm("outbox.retry_deadletter")

    def has_discard_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return request.user.has_perm("outbox.discard_deadletter")

    @admin.action(description=_("Retry …"), permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> HttpResponse:
        return _ask("retry", queryset.values_list("pk", flat=True))

    @admin.action(description=_("Discard …"), permissions=["discard"])
    def discard(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> HttpResponse:
        return _ask("discard", queryset.values_list("pk", flat=True))

    @action(description=_("Retry …"), url_path="retry", permissions=["retry"])
    def retry_one(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return _ask("retry", [object_id])

    @action(description=_("Discard …"), url_path="discard", permissions=["discard"])
    def discard_one(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return _ask("discard", [object_id])

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.decide)
        return [
            path("decide/<str:verb>/", view, name="outbox_deadletter_decide"),
            *super().get_urls(),
        ]

    def decide(self, request: HttpRequest, verb: str) -> HttpResponse:
        """Ask for the reason, then retry or discard the rows that the address names."""
        allowed = {"retry": self.has_retry_permission, "discard": self.has_discard_permission}
        if verb not in allowed or not allowed[verb](request):
            raise PermissionDenied
        ids = [int(part) for part in request.GET.get("ids", "").split(",") if part.isdecimal()]
        form = ReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            self._carry_out(request, verb, ids, form.cleaned_data["reason"])
            return redirect("admin:outbox_deadletter_changelist")
        rows = self.get_queryset(request).filter(pk__in=ids)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Retry dead letters") if verb == "retry" else _("Discard dead letters"),
            "rows": [(row, self.last_error(row)) for row in rows],
            "verb": verb,
            "form": form,
            "opts": self.model._meta,
        }
        return TemplateResponse(request, "outbox/decide_dead_letters.html", context)

    def _carry_out(self, request: HttpRequest, verb: str, ids: list[int], reason: str) -> None:
        function = dead_letters.retry if verb == "retry" else dead_letters.discard
        done = 0
        for row_id in ids:
            try:
                function(row_id=row_id, user_id=cast(uuid.UUID, request.user.pk), reason=reason)
                done += 1
            except NotDead as error:
                messages.warning(request, str(error))
        if done:
            messages.success(request, _done_text(verb, done))


def _done_text(verb: str, done: int) -> str:
    if verb == "retry":
        text = ngettext(
            "%d dead letter goes back to its queue.",
            "%d dead letters go back to their queues.",
            done,
        )
    else:
        text = ngettext("%d dead letter was discarded.", "%d dead letters were discarded.", done)
    return text % done


def _ask(verb: str, ids: Iterable[int]) -> HttpResponseRedirect:
    query = ",".join(str(row_id) for row_id in ids)
    return redirect(f"{reverse('admin:outbox_deadletter_decide', args=[verb])}?ids={query}")
