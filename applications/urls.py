"""Addresses of applications. Where an API client and a browser share one, `Accept` decides."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import path, reverse
from django.views.decorators.csrf import csrf_exempt

from accounts.requests import is_htmx, wants_page
from applications import api, pages

View = Callable[..., HttpResponseBase]


def by_accept(*, api_view: View, page: View) -> View:
    """Show a browser the page, and everybody else, and every other method, the API."""

    @csrf_exempt  # the API checks it itself where a session is used; pages here only read
    @wraps(api_view)  # the schema is read off the API's view
    def view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == "GET" and (wants_page(request) or is_htmx(request)):
            return page(request, *args, **kwargs)
        return api_view(request, *args, **kwargs)

    return view


def to_status(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    """The page of an application is its status."""
    return HttpResponseRedirect(reverse("application-status", kwargs=kwargs))


urlpatterns = [
    path("", pages.home, name="home"),
    path("apply", pages.apply, name="apply"),
    path(
        "applications",
        by_accept(api_view=api.ApplicationsView.as_view(), page=pages.application_list),
        name="application-list",
    ),
    path(
        "applications/<uuid:application_id>",
        by_accept(api_view=api.ApplicationView.as_view(), page=to_status),
        name="application",
    ),
    path(
        "applications/<uuid:application_id>/status",
        by_accept(api_view=api.StatusView.as_view(), page=pages.status),
        name="application-status",
    ),
]
