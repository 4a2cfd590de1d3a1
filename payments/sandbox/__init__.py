"""A payment provider to try things out with: hosted checkout, refunds, signed webhooks, no money.

It can misbehave on demand (`behaviour.Behaviour`), as real providers do at the worst moment.

It is a service of its own (`python -m payments.sandbox`) and shares nothing with Sluice but
HTTP, so that a real provider can take its place.
"""

from __future__ import annotations
