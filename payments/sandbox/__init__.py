"""A payment provider to try things out with: hosted checkout, signed webhooks, no money.

It is a service of its own (`python -m payments.sandbox`) and shares nothing with Sluice but
HTTP, so that a real provider can take its place.
"""

from __future__ import annotations
