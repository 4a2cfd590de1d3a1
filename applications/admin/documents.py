"""The documents of all applications; those that wait for a decision of staff come first."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import display

from applications.admin import pictures, queue, words
from applications.admin.review import Review
from applications.models import ApplicationFile, DocumentsState, FileQuerySet
from applications.verification.report import Verdict
from outbox.admin.cells import stacked
from outbox.read_only import ReadOnly


class StateFilter(admin.SimpleListFilter):
    """By state, in the words of staff: a replaced version is only that."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(key, word) for key, word in words.STATES.items() if key != words.LEFT_OPEN]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[ApplicationFile]
    ) -> QuerySet[ApplicationFile]:
        match self.value():
            case None:
                return queryset
            case DocumentsState.NEEDS_REVIEW:
                return queryset.filter(queue.TO_DECIDE)
            case words.REPLACED:
                return queryset.filter(replaced_at__isnull=False)
            case state:
                return queryset.filter(replaced_at=None, state=state)


@admin.register(ApplicationFile)
class DocumentAdmin(ReadOnly, ModelAdmin):
    list_display = ["document", "coloured_state", "left_to_staff", "student", "created_at"]
    list_filter = [StateFilter]
    search_fields = [
        "=id",
        "=application__id",
        "name",
        "application__student__email",
        "application__student__name",
    ]
    search_help_text = _("Id of a document or application, a file's name, or the student's")
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> FileQuerySet:
        files: FileQuerySet = super().get_queryset(request)
        return files.select_related("application__student").defer(
            "text", "application__personal_statement"
        )

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """The document that has waited longest for a decision first; of all, the newest."""
        if request.GET.get(StateFilter.parameter_name) == DocumentsState.NEEDS_REVIEW:
            return queue.OLDEST_FIRST
        return ("-created_at", "-id")

    @admin.display(description=_("document"), ordering="name")
    def document(self, file: ApplicationFile) -> SafeString:
        return stacked(file.name, [" · ".join(words.facts(file))])

    @display(description=_("state"), label=words.STATE_COLOURS)
    def coloured_state(self, file: ApplicationFile) -> tuple[str, str]:
        return words.state(file)

    @admin.display(description=_("what the checks left open"))
    def left_to_staff(self, file: ApplicationFile) -> SafeString | str:
        wanted = [check for check in file.checks if check["verdict"] == Verdict.NEEDS_REVIEW]
        return stacked("", [check["detail"] for check in wanted]) if wanted else "–"

    @admin.display(description=_("student"), ordering="application__student__name")
    def student(self, file: ApplicationFile) -> SafeString:
        student = file.application.student
        return stacked(student.name, [student.email])

    def has_review_permission(self, request: HttpRequest) -> bool:
        """Tell whether this member of staff may decide about the documents that they may see."""
        return request.user.has_perm("applications.review_applicationfile")

    def get_urls(self) -> list[URLPattern]:
        # A browser may keep a picture for a while; other pages of the admin it may not.
        view = self.admin_site.admin_view(self.page_picture, cacheable=True)
        name = "applications_applicationfile_page"
        return [path("<uuid:file_id>/page/<int:page>/", view, name=name), *super().get_urls()]

    def page_picture(self, request: HttpRequest, file_id: uuid.UUID, page: int) -> HttpResponse:
        """Show a page of the document to those who may see documents."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return pictures.respond(request, file_id, page)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Show the document with all that a decision needs, and take the decision."""
        file = self.get_object(request, unquote(object_id))
        if file is None:
            raise Http404
        return Review(self, request, file).respond()
