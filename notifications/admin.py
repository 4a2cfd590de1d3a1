"""The mails for staff: what went out, and what could not be sent and why."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import action, display

from notifications.models import Mail, MailState
from outbox.read_only import ReadOnly

STATE_COLOURS = {MailState.SENT: "success", MailState.NOT_SENT: "danger"}


@admin.register(Mail)
class MailAdmin(ReadOnly, ModelAdmin):
    list_display = [
        "subject",
        "coloured_state",
        "recipient",
        "occasion",
        "application",
        "sent_at",
        "error",
    ]
    list_filter = ["state", "occasion"]
    search_fields = ["recipient", "=application__id", "error"]
    search_help_text = _("Address, id of an application, or words of an error")
    ordering = ["-id"]
    show_full_result_count = False
    actions_detail = ["show_dead_letters"]

    @display(description=_("state"), ordering="state", label=STATE_COLOURS)
    def coloured_state(self, mail: Mail) -> tuple[str, str]:
        return mail.state, mail.get_state_display()

    @action(
        description=_("Dead letters of this application"),
        url_path="dead-letters",
        permissions=["view"],
    )
    def show_dead_letters(self, request: HttpRequest, object_id: int) -> HttpResponse:
        mail = get_object_or_404(Mail, pk=object_id)
        query = urlencode({"q": str(mail.application_id)})
        return redirect(f"{reverse('admin:outbox_deadletter_changelist')}?{query}")
