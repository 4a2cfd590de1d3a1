"""What looks alive and does nothing is restarted: a wedged cluster, a relay that does not tick."""

from __future__ import annotations

from runtime.supervisor import Watchdog

WATCHDOGS: tuple[Watchdog, ...] = ()
