"""One run: a seed's faults, struck while people use the system, and what is found at the end."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from runtime.postgres_files import remove_data_dir
from tests.chaos.load import Load
from tests.chaos.oom import OomKiller
from tests.chaos.promises import Outside, broken_promises
from tests.chaos.schedule import Strike, schedule
from tests.chaos.world import World, wait_until

RECOVERY_SECONDS = 90.0
# The rows of faulty handlers use up their attempts: leases of 15 s, three of them, and backoffs.
SETTLE_SECONDS = 240.0
UNFINISHED = "SELECT count(*) FROM outbox WHERE state IN ('pending', 'queued', 'processing')"


@dataclass
class Result:
    """What a run has shown. `recoveries` are seconds by the fault's name, None for none in time."""

    seed: int
    recoveries: dict[str, float | None] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


def run(
    seed: int, *, applications: int, quick: bool = False, say: Callable[[str], None] = print
) -> Result:
    """Start a system, break it by the seed's schedule under load, and check every promise."""
    folder = Path(tempfile.mkdtemp(prefix="sluice-chaos-")).resolve()
    folder.chmod(0o755)  # PostgreSQL may have a user of its own, who has to get through
    world = World(folder)
    result = Result(seed)
    try:
        load, oom = Load(world, seed), OomKiller(world)
        load.start()
        oom.start()
        _strike_all(world, load, schedule(seed, quick=quick), result, say)
        wait_until(lambda: len(load.accepted) >= applications, seconds=SETTLE_SECONDS)
        load.stop()
        say("waiting until nothing is left to do")
        wait_until(lambda: world.sql(UNFINISHED)[0][0] == 0, seconds=SETTLE_SECONDS)
        oom.stop()
        _judge(world, load, result, folder)
    finally:
        world.close()
        remove_data_dir(folder / "state" / "postgres")
    if result.broken:
        say(f"logs: {folder}")
    else:
        shutil.rmtree(folder)
    return result


def _strike_all(
    world: World, load: Load, strikes: list[Strike], result: Result, say: Callable[[str], None]
) -> None:
    rng = random.Random(result.seed)
    wait_until(lambda: len(load.accepted) >= 3, seconds=RECOVERY_SECONDS)
    for strike in strikes:
        time.sleep(strike.pause_seconds)
        struck = time.monotonic()
        strike.fault.strike(world, rng)
        recovered = _recovers(world, load)
        seconds = time.monotonic() - struck
        result.recoveries[strike.fault.name] = seconds if recovered else None
        say(f"{strike.fault.text}: {f'recovered after {seconds:.1f} s' if recovered else 'NOT'}")
        if not recovered:
            result.broken.append(f"BROKEN: no recovery from: {strike.fault.text}")


def _recovers(world: World, load: Load) -> bool:
    """Submit an application after the fault, and see the first step of each queue done."""
    application_id = load.probe()
    done = """
        SELECT count(*) = 3 FROM outbox WHERE aggregate_id = %s AND state = 'delivered'
            AND handler IN ('verify_document', 'create_payment', 'send_received_mail')
    """
    return wait_until(lambda: bool(world.sql(done, application_id)[0][0]), seconds=RECOVERY_SECONDS)


def _judge(world: World, load: Load, result: Result, folder: Path) -> None:
    world.manage("chaos", "sweep")
    wait_until(_gauges_are_fresh(world), seconds=60)
    outside = Outside(
        accepted=load.accepted,
        keys=load.keys,
        mails=world.mailbox.copies(),
        sandbox=folder / "state" / "sandbox.sqlite3",
        files=folder / "state" / "files",
    )
    result.broken += [f"BROKEN: a client gave up: {failure}" for failure in load.failures]
    result.broken += broken_promises(world, outside)
    result.counts = {
        "applications": len(load.accepted),
        "rows": world.ask("SELECT count(*) FROM outbox"),
        "attempts": world.ask("SELECT count(*) FROM outbox_attempt"),
        "attempts that were lost or failed": world.ask(
            "SELECT count(*) FROM outbox_attempt WHERE outcome <> 'succeeded'"
        ),
        "dead letters": world.ask("SELECT count(*) FROM outbox WHERE state = 'dead'"),
        "fees paid": world.ask("SELECT count(*) FROM payments_payment WHERE state = 'paid'"),
        "mails": len(outside.mails),
        "mails repeated": sum(outside.mails.values()) - len(outside.mails),
    }
    if world.system.stop() != 0 or world.system.processes():
        result.broken.append("BROKEN: The system stops when it is told to, and leaves nothing.")


def _gauges_are_fresh(world: World) -> Callable[[], bool]:
    now = world.ask("SELECT clock_timestamp()")
    query = "SELECT count(*) > 0 AND bool_and(checked_at > %s) FROM outbox_gauge"
    return lambda: bool(world.sql(query, now)[0][0])
