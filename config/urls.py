"""All addresses of the site."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from config import (
    health,
    schema,  # noqa: F401 - drf-spectacular finds its scheme once it is imported
    trace,
)

urlpatterns = [
    path("", include("accounts.urls")),
    path("", include("applications.urls")),
    path("payments/", include("payments.urls")),
    path("schema", SpectacularAPIView.as_view(), name="schema"),
    path(
        "docs",
        SpectacularSwaggerSplitView.as_view(url_name="schema", template_name="docs.html"),
        name="docs",
    ),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path(
        "admin/applications/application/<uuid:application_id>/trace/",
        admin.site.admin_view(trace.trace),
        name="application-trace",
    ),
    path("admin/", admin.site.urls),
]

handler400 = "config.problems.bad_request"
handler403 = "config.problems.permission_denied"
handler404 = "config.problems.page_not_found"
handler500 = "config.problems.server_error"
