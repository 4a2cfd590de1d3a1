from __future__ import annotations

import sys
from pathlib import Path

from django.conf import settings

from runtime.services import services

CLUSTERS = ["relay", "verify_document", "create_payment", "apply_payment_event", "send_email"]


def test_services_are_the_programs_of_a_system() -> None:
    found = services({"STATE_DIR": "/state"}, port=8000, sandbox_port=8001)

    assert [service.name for service in found] == ["web", "sandbox", *CLUSTERS]
    assert {service.argv[0] for service in found} == {sys.executable}
    assert str(Path("/state/sandbox.sqlite3")) in found[1].argv


def test_services_leave_out_the_sandbox_without_a_port_for_it() -> None:
    found = services({"STATE_DIR": "/state"}, port=8000, sandbox_port=None)

    assert [service.name for service in found] == ["web", *CLUSTERS]


def test_every_cluster_of_the_settings_runs() -> None:
    found = services({"STATE_DIR": "/state"}, port=8000, sandbox_port=None)

    clusters = {service.env["Q_CLUSTER_NAME"] for service in found if service.name != "web"}
    assert clusters == {"relay", *settings.OUTBOX_QUEUES}


def test_services_stop_in_time() -> None:
    for service in services({"STATE_DIR": "/state"}, port=8000, sandbox_port=8001):
        assert sum(seconds for _, seconds in service.stop_signals) == 12
