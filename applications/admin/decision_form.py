"""The form in which staff decide about a document."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextareaWidget

from applications.models import DocumentReview

ACCEPT, REJECT = "accept", "reject"


class DecisionForm(forms.Form):
    """`decision` is the button that was pressed."""

    decision = forms.ChoiceField(
        choices=[(ACCEPT, _("Accept")), (REJECT, _("Reject"))],
        error_messages={"required": _("Choose whether to accept or to reject the document.")},
    )
    reason = forms.CharField(
        label=_("Reason"),
        max_length=DocumentReview._meta.get_field("reason").max_length,
        help_text=_(
            "If you reject the document, the student gets a mail and reads this reason: say what is "
            "wrong and what to send instead. The reason of an acceptance stays with us."
        ),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
    )

    @property
    def accepts(self) -> bool:
        """Whether the document is to be accepted; of a valid form only."""
        return bool(self.cleaned_data["decision"] == ACCEPT)
