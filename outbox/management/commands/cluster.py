from __future__ import annotations

import os
import sys

from django.core.management.base import BaseCommand, CommandParser

from outbox import broker
from outbox.queues import RELAY_CLUSTER, queues


class Command(BaseCommand):
    help = "Runs the django-q2 cluster of one queue, or of the relay, until SIGTERM or Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", choices=[RELAY_CLUSTER, *queues()])

    def handle(self, *args: object, **options: str) -> None:
        name = options["name"]
        if os.environ.get("Q_CLUSTER_NAME") != name:
            # django-q2 has read the name at import, so begin again with the right one.
            os.environ["Q_CLUSTER_NAME"] = name
            os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606 - this program itself
        broker.run_cluster(name)
