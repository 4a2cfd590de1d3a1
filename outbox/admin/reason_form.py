"""The form in which staff say why they do something; `outbox/decide.html` shows it."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextareaWidget

from outbox.models import StaffAction


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=_("Reason"),
        max_length=StaffAction._meta.get_field("reason").max_length,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "autofocus": True}),
    )
