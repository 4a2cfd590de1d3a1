"""How the sandbox misbehaves on demand; kept in its database, so that a restart changes nothing.

Each field says what it does. "The next n" counts down to 0 and then ends by itself.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

from payments.sandbox.records import RefundStatus
from payments.sandbox.transaction import Transaction

LONGEST_ANSWER_DELAY = 60.0
LONGEST_WEBHOOK_DELAY = 3600.0
MOST_REQUESTS = 1000
MOST_WEBHOOKS = 1000
MOST_COPIES = 10
MOST_REVERSED = 20

Counter = Literal["fail_requests", "time_out_after_acting", "reverse_webhooks", "drop_webhooks"]


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """The wanted behaviour, by default a good one. In JSON the names are in camel case.

    For requests of the API with the right key, except those about the behaviour itself:

    - `answer_delay_seconds`: the answer comes this late (0 to 60), after acting at once.
    - `fail_requests`: the next n (0 to 1000) get 503 with Retry-After, and nothing is done.
    - `time_out_after_acting`: the next n (0 to 1000) that don't fail so are done, and never
      answered: the connection is closed, once the delay is over.

    For events; decided when the event happens, and kept with it:

    - `webhook_delay_seconds`: the first attempt is made this late (0 to 3600).
    - `webhook_copies`: each attempt sends the event so many times (1 to 10), one after the other.
    - `drop_webhooks`: the next n (0 to 1000) are never sent.
    - `reverse_webhooks`: the next n (0 to 20) that aren't dropped are held back. When the n-th
      happens they are let go, and their first attempts are made newest first. Setting the
      behaviour again lets go, in the same order, what is held by then.

    For refunds:

    - `refund_outcome`: "succeeded" or "failed" at once, or "pending". Setting another outcome
      than "pending" settles all pending refunds so, each with its event.
    """

    answer_delay_seconds: float = 0
    fail_requests: int = 0
    time_out_after_acting: int = 0
    webhook_delay_seconds: float = 0
    webhook_copies: int = 1
    reverse_webhooks: int = 0
    drop_webhooks: int = 0
    refund_outcome: RefundStatus = "succeeded"


@dataclass(frozen=True)
class Turn:
    """What becomes of one request: refused at once, or done and its answer late or lost."""

    is_refused: bool
    is_lost: bool
    delay_seconds: float


def read(tx: Transaction) -> Behaviour:
    row = tx.db.execute("SELECT fields FROM behaviour").fetchone()
    return Behaviour() if row is None else Behaviour(**json.loads(row["fields"]))


def write(tx: Transaction, wanted: Behaviour) -> None:
    fields = json.dumps(asdict(wanted))
    tx.db.execute("INSERT OR REPLACE INTO behaviour (id, fields) VALUES (1, ?)", [fields])


def count_down(tx: Transaction, counter: Counter) -> bool:
    """Take one off `counter`; False if nothing was left of it."""
    fields = asdict(read(tx))
    if fields[counter] == 0:
        return False
    fields[counter] -= 1
    write(tx, Behaviour(**fields))
    return True


def take_turn(tx: Transaction) -> Turn:
    """Say what becomes of the request that is about to be handled."""
    is_refused = count_down(tx, "fail_requests")
    is_lost = not is_refused and count_down(tx, "time_out_after_acting")
    return Turn(is_refused, is_lost, read(tx).answer_delay_seconds)
