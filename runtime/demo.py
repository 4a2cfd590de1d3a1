"""`python -m runtime demo`: three applications, each until it is completed, in a throw-away system."""

from __future__ import annotations

import json

import httpx

from runtime.console import Console
from runtime.demo_client import DemoClient
from runtime.demo_stories import STORIES, Scene
from runtime.exceptions import RuntimeProblem
from runtime.logs import tail
from runtime.stopping import StopRequest
from runtime.system import System
from runtime.throwaway import throwaway_system

ERROR_MARKS = ("Traceback", " ERROR ", " CRITICAL ")


def demo(console: Console, stop: StopRequest) -> int:
    """Run the demo; return 0 if all applications were completed and 1, with the reasons, if not."""
    with throwaway_system(console, stop) as system:
        system.start()
        client = DemoClient(system.address)
        try:
            with stop.interruptible():
                client.sign_in("student@example.com", "sluice-demo")
            for number, (title, story) in enumerate(STORIES.items(), start=1):
                console.say(f"\n{number}. {title}")
                story(Scene(system, client, console, stop))
        except (RuntimeProblem, httpx.HTTPError) as error:
            console.say(f"\nThe demo failed: {error}")
            _show_what_is_known(system, client, console)
            return 1
        finally:
            client.close()
        console.say(f"\nAll {len(STORIES)} applications are completed.\n")
    return 0


def _show_what_is_known(system: System, client: DemoClient, console: Console) -> None:
    if client.status:
        console.say(f"Last status document:\n{json.dumps(client.status, indent=2)}")
    for name in system.supervisor.names:
        log = system.supervisor.log(name)
        if any(mark in log.read_text(errors="replace") for mark in ERROR_MARKS):
            console.say(f"\nThe end of the log of {name}:\n{tail(log, lines=40)}")
