"""What the demo tells: one story for each application."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from runtime.console import Console
from runtime.demo_client import DemoClient
from runtime.exceptions import RuntimeProblem
from runtime.sample_documents import (
    CERTIFICATE,
    REFERENCE,
    TRANSCRIPT,
    locked_pdf,
    pdf,
    scanned_pdf,
)
from runtime.stopping import StopRequest
from runtime.system import System

STAGE_SECONDS = 60.0
Document = Mapping[str, Any]


@dataclass(frozen=True)
class Scene:
    """Where a story takes place: a started system and a student who is signed in to it."""

    system: System
    client: DemoClient
    console: Console
    stop: StopRequest

    def submit(self, documents: Mapping[str, bytes]) -> None:
        with self.stop.interruptible():
            seconds = self.client.submit(documents)
        self.say(f"Sent {' and '.join(documents)}: 202 after {seconds * 1000:.0f} ms.")

    def follow(self, until: Callable[[Document], bool], *, what: str) -> None:
        """Follow the status; raise `RuntimeProblem` if `until` does not hold within a minute."""
        deadline = time.monotonic() + STAGE_SECONDS
        while not (self.client.status and until(self.client.status)):
            if time.monotonic() > deadline or self.client.status.get("terminal"):
                raise RuntimeProblem(f"the application did not get so far: {what}")
            self.system.supervisor.tick()
            with self.stop.interruptible():
                pause = self.client.follow()
                time.sleep(pause)

    def pay(self) -> None:
        self.follow(lambda document: document["nextAction"] == "pay", what="the fee is due")
        with self.stop.interruptible():
            page = self.client.pay()
        self.say(f"Paid the fee at {page}")

    def end(self) -> None:
        """Wait for the end, and tell what happened when, and what nobody has checked."""
        self.follow(lambda document: document["status"] == "completed", what="completed")
        self.say("Completed. Seconds since the submission:")
        for line in [*timeline_lines(self.client.status["timeline"]), ""]:
            self.say(line)
        for line in unchecked_lines(self.client.status["documents"]):
            self.say(line)

    def say(self, text: str) -> None:
        self.console.say(f"   {text}".rstrip())


def clean(scene: Scene) -> None:
    scene.submit({"transcript.pdf": pdf(TRANSCRIPT), "certificate.pdf": scanned_pdf(CERTIFICATE)})
    scene.pay()
    scene.end()


def replaced(scene: Scene) -> None:
    scene.submit({"transcript.pdf": pdf(TRANSCRIPT), "reference.pdf": locked_pdf(REFERENCE)})
    scene.follow(
        lambda document: document["nextAction"] == "replace_document", what="a document is rejected"
    )
    for name, check in checks_with("failed", scene.client.status["documents"]):
        scene.say(f"Rejected {name}: {check['detail']}")
    with scene.stop.interruptible():
        scene.client.replace("reference.pdf", pdf(REFERENCE))
    scene.say("Replaced reference.pdf by one without a password.")
    scene.pay()
    scene.end()


def declined(scene: Scene) -> None:
    scene.submit({"transcript.pdf": pdf(TRANSCRIPT)})
    scene.follow(lambda document: document["nextAction"] == "pay", what="the fee is due")
    with scene.stop.interruptible():
        page = scene.client.decline()
    scene.say(f"The card was declined at {page}")
    scene.follow(lambda document: document["payment"]["state"] == "failed", what="declined")
    scene.pay()
    scene.end()


STORIES: Mapping[str, Callable[[Scene], None]] = {
    "Good documents, one of them a scan": clean,
    "A PDF that is locked with a password, and replaced": replaced,
    "A card that is declined, and then accepted": declined,
}


def timeline_lines(timeline: list[dict[str, str]]) -> list[str]:
    """Return one line for each entry: seconds since the first one, event, detail."""
    if not timeline:
        return []
    times = [datetime.fromisoformat(entry["at"]) for entry in timeline]
    return [
        f"  {(at - times[0]).total_seconds():7.3f}  {entry['event']}  {entry['detail'] or ''}".rstrip()
        for at, entry in zip(times, timeline, strict=True)
    ]


def unchecked_lines(documents: list[dict[str, Any]]) -> list[str]:
    """Return one line for each check that was not made: document, code, why."""
    return [
        f"Not checked in {name}: {check['code']}. {check['detail']}"
        for name, check in checks_with("not_checked", documents)
    ]


def checks_with(verdict: str, documents: list[dict[str, Any]]) -> list[tuple[str, dict[str, str]]]:
    """Return the checks with this verdict, each with the name of its document."""
    return [
        (file["name"], check)
        for file in documents
        for check in file["checks"]
        if check["verdict"] == verdict
    ]
