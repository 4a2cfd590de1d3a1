from __future__ import annotations

from argparse import ArgumentTypeError

from django.core.management.base import BaseCommand, CommandParser

from outbox import flow
from outbox.models import QueueControl
from outbox.queues import queues
from outbox.workers import LiveWorker, live_workers

MAX_REASON_LENGTH = QueueControl._meta.get_field("pause_reason").max_length


def reason(text: str) -> str:
    """Return the reason as it is kept."""
    text = text.strip()
    if not text:
        raise ArgumentTypeError("say why")
    if MAX_REASON_LENGTH and len(text) > MAX_REASON_LENGTH:
        raise ArgumentTypeError(f"at most {MAX_REASON_LENGTH} characters")
    return text


class Command(BaseCommand):
    help = "Pauses and resumes queues, and lists what they are doing. Times are UTC."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="pause | resume | list")
        pause = verbs.add_parser("pause", help="let no attempt of the queue begin any more")
        pause.add_argument("name", choices=[*queues()])
        pause.add_argument("--reason", type=reason, required=True)
        resume = verbs.add_parser("resume", help="let attempts of the queue begin again")
        resume.add_argument("name", choices=[*queues()])
        verbs.add_parser("list", help="state, backlog, drain and workers of every queue")

    def handle(self, *args: object, **options: str) -> None:
        match options["verb"]:
            case "pause":
                flow.pause(queue=options["name"], user_id=None, reason=options["reason"])
                self.stdout.write(f"{options['name']} is paused.")
            case "resume":
                flow.resume(queue=options["name"], user_id=None)
                self.stdout.write(f"{options['name']} runs.")
            case _:
                self.write_table()

    def write_table(self) -> None:
        """Write a table of all queues, also of those that only rows know of."""
        controls = {
            control.name: control for control in QueueControl.objects.select_related("paused_by")
        }
        alive = live_workers()
        lines = [("QUEUE", "WAITING", "DRAIN/S", "WORKERS", "STATE")]
        for name in sorted({*queues(), *controls}):
            control = controls.get(name, QueueControl(name=name))
            workers = [worker for worker in alive if worker.queue == name]
            lines.append((name, *_numbers(control), _busy(workers), _state(control)))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for name, *numbers, state in lines:
            cells = [cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=False)]
            self.stdout.write("  ".join([name.ljust(widths[0]), *cells, state]))


def _numbers(control: QueueControl) -> tuple[str, str]:
    if control.measured_at is None:
        return "?", "?"
    drain = control.drain_per_second
    return str(sum(control.waiting)), "?" if drain is None else f"{drain:.2f}"


def _busy(workers: list[LiveWorker]) -> str:
    busy = sum(worker.row_id is not None for worker in workers)
    return f"{len(workers)} ({busy} busy)"


def _state(control: QueueControl) -> str:
    if control.name not in queues():
        return "not in the settings"
    if control.paused_at:
        who = control.paused_by or "a command"
        return f"paused by {who} since {control.paused_at:%F %T}: {control.pause_reason}"
    if control.opened_at:
        probe = f", next probe {control.probe_at:%F %T}" if control.probe_at else ""
        return f"breaker open since {control.opened_at:%F %T}{probe}: {control.cause}"
    rate = queues()[control.name].rate_per_second
    return "running" if rate is None else f"running, at most {rate:g}/s"
