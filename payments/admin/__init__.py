"""Payments for staff: what was captured and paid back, and what the provider told us about it."""

from __future__ import annotations

from payments.admin.payments import PaymentAdmin
from payments.admin.provider_events import ProviderEventAdmin

__all__ = ["PaymentAdmin", "ProviderEventAdmin"]
