"""The outbox for staff: queues, rows to look at, dead letters to retry or discard."""

from __future__ import annotations

from outbox.admin.dead_letters import DeadLetterAdmin
from outbox.admin.queues import QueueAdmin
from outbox.admin.rows import OutboxAdmin

__all__ = ["DeadLetterAdmin", "OutboxAdmin", "QueueAdmin"]
