"""`python -m runtime demo`: one application from submission to completion, in a throw-away system."""

from __future__ import annotations

import json
import time
from datetime import datetime

import httpx

from runtime.console import Console
from runtime.demo_client import DemoClient
from runtime.exceptions import RuntimeProblem
from runtime.logs import tail
from runtime.stopping import StopRequest
from runtime.system import System
from runtime.throwaway import throwaway_system

STAGE_SECONDS = 60.0
ERROR_MARKS = ("Traceback", " ERROR ", " CRITICAL ")


def demo(console: Console, stop: StopRequest) -> int:
    """Run the demo; return 0 if the application was completed and 1, with the reasons, if not."""
    with throwaway_system(console, stop) as system:
        system.start()
        client = DemoClient(system.address)
        try:
            _tell_story(system, client, console, stop)
        except (RuntimeProblem, httpx.HTTPError) as error:
            console.say(f"\nThe demo failed: {error}")
            _show_what_is_known(system, client, console)
            return 1
        finally:
            client.close()
    return 0


def _tell_story(system: System, client: DemoClient, console: Console, stop: StopRequest) -> None:
    with stop.interruptible():
        client.sign_in("student@example.com", "sluice-demo")
        seconds = client.submit()
    console.say(f"\nSubmitted an application with two documents: 202 after {seconds * 1000:.0f} ms")
    _follow(system, client, stop, until="awaiting_payment")
    with stop.interruptible():
        page = client.pay()
    console.say(f"Paid the fee at {page}")
    _follow(system, client, stop, until="completed")
    console.say("Completed. Seconds since the submission:\n")
    for line in timeline_lines(client.status["timeline"]):
        console.say(line)


def _follow(system: System, client: DemoClient, stop: StopRequest, *, until: str) -> None:
    """Follow the status; raise `RuntimeProblem` if it is not reached within a minute."""
    deadline = time.monotonic() + STAGE_SECONDS
    while client.status.get("status") != until:
        if time.monotonic() > deadline or client.status.get("terminal"):
            raise RuntimeProblem(f"the application did not become {until}")
        system.supervisor.tick()
        with stop.interruptible():
            pause = client.follow()
            time.sleep(pause)


def timeline_lines(timeline: list[dict[str, str]]) -> list[str]:
    """Return one line for each entry: seconds since the first one, event, detail."""
    if not timeline:
        return []
    times = [datetime.fromisoformat(entry["at"]) for entry in timeline]
    return [
        f"  {(at - times[0]).total_seconds():7.3f}  {entry['event']}  {entry['detail'] or ''}".rstrip()
        for at, entry in zip(times, timeline, strict=True)
    ]


def _show_what_is_known(system: System, client: DemoClient, console: Console) -> None:
    if client.status:
        console.say(f"Last status document:\n{json.dumps(client.status, indent=2)}")
    for name in system.supervisor.names:
        log = system.supervisor.log(name)
        if any(mark in log.read_text(errors="replace") for mark in ERROR_MARKS):
            console.say(f"\nThe end of the log of {name}:\n{tail(log, lines=40)}")
