from __future__ import annotations

from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction
from django.test import override_settings

from applications.maintenance import sweep_files
from outbox.services import Event, publish


class Command(BaseCommand):
    help = "Publishes an event of a faulty handler, or sweeps files however young they are."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", help="an event type, or 'sweep'")

    def handle(self, *args: object, **options: str) -> None:
        if options["what"] == "sweep":
            with override_settings(ORPHAN_FILE_HOURS=0):
                self.stdout.write(str(sweep_files()))
            return
        with transaction.atomic():
            published = publish(Event(options["what"]))
        self.stdout.write(str(published.row_ids[0]))
