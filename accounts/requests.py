"""Who sends a request, and what it is called."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from rest_framework.request import Request

from accounts.models import User


def signed_in_user(request: HttpRequest | Request) -> User:
    """Return the user; for views that let only signed-in users in."""
    user = request.user
    if not isinstance(user, User):
        raise PermissionDenied
    return user


def request_id(request: HttpRequest | Request) -> str:
    """Return the id that the middleware gave the request."""
    return str(getattr(request, "request_id", ""))


def wants_page(request: HttpRequest | Request) -> bool:
    """Tell whether the client would rather have a page than JSON; without a wish it gets JSON."""
    return request.get_preferred_type(["application/json", "text/html"]) == "text/html"


def is_htmx(request: HttpRequest) -> bool:
    """Tell whether htmx asks, which says nothing in `Accept` and swaps in a part of a page."""
    return request.headers.get("HX-Request") == "true"
