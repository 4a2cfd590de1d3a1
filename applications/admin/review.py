"""The page of one document: pictures, text, checks and history, and the decision about it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from unfold.admin import ModelAdmin

from accounts.requests import signed_in_user
from applications import documents, services
from applications.admin import pictures, queue, words
from applications.admin.decision_form import DecisionForm
from applications.exceptions import NothingToDecide
from applications.models import (
    TERMINAL_STATUSES,
    ApplicationFile,
    DocumentAccess,
    DocumentReview,
    DocumentsState,
)

# The latest accesses are on the page; the trace of the application has all of them.
SHOWN_ACCESSES = 20


def list_url() -> str:
    """Return the address of the documents that wait for a decision."""
    changelist = reverse("admin:applications_applicationfile_changelist")
    return f"{changelist}?state={DocumentsState.NEEDS_REVIEW}"


class Review:
    """One request for the page of a document, which was fetched with its application and student."""

    def __init__(
        self, model_admin: ModelAdmin, request: HttpRequest, file: ApplicationFile
    ) -> None:
        self.model_admin, self.request, self.file = model_admin, request, file
        self.user = signed_in_user(request)
        self.may_decide: bool = model_admin.has_review_permission(request)

    def respond(self) -> HttpResponse:
        """Show the page, or take the decision. Raises `PermissionDenied`."""
        if not self.model_admin.has_view_permission(self.request, self.file):
            raise PermissionDenied
        if self.request.method != "POST":
            return self._show(DecisionForm())
        if not self.may_decide:
            raise PermissionDenied
        form = DecisionForm(self.request.POST)
        return self._decide(form) if form.is_valid() else self._show(form)

    def _decide(self, form: DecisionForm) -> HttpResponse:
        name = {"name": self.file.name}
        try:
            with transaction.atomic():
                services.decide_document(
                    file_id=self.file.pk,
                    accept=form.accepts,
                    reason=form.cleaned_data["reason"],
                    reviewer=self.user,
                )
        except NothingToDecide:
            current = ApplicationFile.objects.select_related("application").get(pk=self.file.pk)
            why = why_settled(current)
            messages.warning(self.request, _("Your decision changed nothing. %s") % why)
            return redirect(self.request.path)
        done = _("You accepted “%(name)s”.") if form.accepts else _("You rejected “%(name)s”.")
        messages.success(self.request, done % name)
        following = queue.next_after(self.file)
        if following is None:
            messages.info(self.request, _("No more documents wait for a decision."))
            return redirect(list_url())
        return redirect("admin:applications_applicationfile_change", following.pk)

    def _show(self, form: DecisionForm) -> HttpResponse:
        documents.note_access(self.file, self.user, DocumentAccess.Kind.VIEWED)
        open_to_us = self.may_decide and queue.is_to_decide(self.file)
        context = {
            **self.model_admin.admin_site.each_context(self.request),
            **_document(self.file),
            **_history(self.file),
            "title": self.file.name,
            "opts": self.model_admin.opts,
            "object": self.file,
            "show_back_button": True,
            "form": form if open_to_us else None,
            "settled": why_settled(self.file),
            "next": queue.next_after(self.file) if open_to_us else None,
            "list_url": list_url(),
            "may_download": self.file.is_scanned
            and self.user.has_perm("applications.download_applicationfile"),
        }
        return TemplateResponse(self.request, "applications/admin/review.html", context)


def why_settled(file: ApplicationFile) -> str:
    """Return why there is nothing to decide about the document; empty if there is."""
    name = {"name": file.name}
    review = _review_of(file)
    if review is not None:
        who = {**name, "who": review.reviewer}
        if review.decision == DocumentReview.Decision.ACCEPTED:
            return _("%(who)s has accepted “%(name)s”.") % who
        return _("%(who)s has rejected “%(name)s”.") % who
    if file.replaced_at is not None:
        return _("The student has replaced “%(name)s”.") % name
    if file.application.status in TERMINAL_STATUSES:
        return _("The application of “%(name)s” has ended.") % name
    if file.state == DocumentsState.NEEDS_REVIEW:
        return ""
    if file.state in {DocumentsState.VERIFIED, DocumentsState.FAILED}:
        return _("The checks alone have decided about “%(name)s”.") % name
    return _("“%(name)s” has not been checked yet.") % name


def _review_of(file: ApplicationFile) -> DocumentReview | None:
    return DocumentReview.objects.select_related("reviewer").filter(file=file).first()


def _document(file: ApplicationFile) -> dict[str, Any]:
    """Return what the page shows of the document itself."""
    return {
        "file": file,
        "state_label": words.state_label(file),
        "facts": words.facts(file),
        "name_hint": words.name_hint(file),
        "checks": [
            (words.verdict_label(check), words.check_name(check), check["detail"])
            for check in words.worst_first(file)
        ],
        "pages": range(1, pictures.count(file) + 1),
    }


def _history(file: ApplicationFile) -> dict[str, Any]:
    """Return what has happened to the document: versions, the decision, who looked at it."""
    versions = ApplicationFile.objects.select_related("application").defer("text")
    same = versions.filter(application=file.application_id, position=file.position)
    accesses = list(file.accesses.select_related("user")[: SHOWN_ACCESSES + 1])
    return {
        "versions": [
            (version, words.state_label(version), " · ".join(words.facts(version)))
            for version in same.order_by("-version")
        ],
        "review": _review_of(file),
        "accesses": accesses[:SHOWN_ACCESSES],
        "has_more_accesses": len(accesses) > SHOWN_ACCESSES,
    }
