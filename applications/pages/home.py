"""The first page, and the list of a student's applications."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET

from accounts.requests import signed_in_user
from applications.models import Application
from applications.pages.presentation import present_list

LIST_LENGTH = 100


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """The first page: what this is, and the ways in."""
    if request.user.is_authenticated:
        return redirect("application-list")
    return render(request, "applications/home.html")


@require_GET
@login_required
def application_list(request: HttpRequest) -> HttpResponse:
    """My applications, newest first."""
    applications = Application.objects.filter(student=signed_in_user(request)).order_by(
        "-created_at", "-id"
    )
    context = {"applications": present_list(applications[:LIST_LENGTH])}
    return render(request, "applications/list.html", context)
