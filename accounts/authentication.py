"""Signing in to the API with the session of the student pages."""

from __future__ import annotations

from io import BytesIO

from django.core.handlers.wsgi import WSGIRequest
from rest_framework import authentication
from rest_framework.request import Request


class SessionAuthentication(authentication.SessionAuthentication):
    """Accepts the session cookie, with the CSRF token in the header X-CSRFToken only.

    Django's own check looks for the token in the form first and so would read a whole upload
    before it is known who sends it.
    """

    def enforce_csrf(self, request: Request) -> None:
        headers_only = {**request.META, "wsgi.input": BytesIO(), "CONTENT_LENGTH": "0"}
        super().enforce_csrf(Request(WSGIRequest(headers_only)))
