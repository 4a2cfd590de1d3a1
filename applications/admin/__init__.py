"""Applications and their documents for staff: to look at, and to decide what checks left open."""

from __future__ import annotations

from applications.admin.applications import ApplicationAdmin
from applications.admin.documents import DocumentAdmin

__all__ = ["ApplicationAdmin", "DocumentAdmin"]
