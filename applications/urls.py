"""Addresses of applications. Where an API client and a browser share one, `Accept` decides."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import path, reverse
from django.views.decorators.csrf import csrf_exempt

from accounts.requests import is_htmx, wants_page
from applications import api
from applications.pages import apply, home, replacement, status, withdrawal

View = Callable[..., HttpResponseBase]


def by_accept(*, api_view: View, page: View, form: View | None = None) -> View:
    """Show a browser the page, hand it what it posts to `form`, and everything else to the API."""

    @csrf_exempt  # `form` and, where a session is used, the API check it themselves; pages only read
    @wraps(api_view)  # the schema is read off the API's view
    def view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == "GET" and (wants_page(request) or is_htmx(request)):
            return page(request, *args, **kwargs)
        by_token = "Authorization" in request.headers
        if form and request.method == "POST" and wants_page(request) and not by_token:
            return form(request, *args, **kwargs)
        return api_view(request, *args, **kwargs)

    return view


def to_status(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    """The page of an application is its status."""
    return HttpResponseRedirect(reverse("application-status", kwargs=kwargs))


def content_page(
    request: HttpRequest, application_id: uuid.UUID, file_id: uuid.UUID
) -> HttpResponseBase:
    """Download a document; whoever is not signed in finds it on the status page after that."""
    if not request.user.is_authenticated:
        return redirect_to_login(reverse("application-status", args=[application_id]))
    return api.ContentView.as_view()(request, application_id=application_id, file_id=file_id)


urlpatterns = [
    path("", home.home, name="home"),
    path("apply", apply.apply, name="apply"),
    path(
        "applications",
        by_accept(api_view=api.ApplicationsView.as_view(), page=home.application_list),
        name="application-list",
    ),
    path(
        "applications/<uuid:application_id>",
        by_accept(api_view=api.ApplicationView.as_view(), page=to_status),
        name="application",
    ),
    path(
        "applications/<uuid:application_id>/status",
        by_accept(api_view=api.StatusView.as_view(), page=status.status),
        name="application-status",
    ),
    path(
        "applications/<uuid:application_id>/withdrawal",
        by_accept(
            api_view=api.WithdrawalView.as_view(),
            page=withdrawal.withdrawal,
            form=withdrawal.withdrawal,
        ),
        name="application-withdrawal",
    ),
    path(
        "applications/<uuid:application_id>/files/<uuid:file_id>/replacement",
        by_accept(
            api_view=api.ReplacementView.as_view(),
            page=replacement.replacement,
            form=replacement.replacement,
        ),
        name="document-replacement",
    ),
    path(
        "applications/<uuid:application_id>/files/<uuid:file_id>/content",
        by_accept(api_view=api.ContentView.as_view(), page=content_page),
        name="document-content",
    ),
]
