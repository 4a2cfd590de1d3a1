from __future__ import annotations

import random

import pytest

from outbox.queues import get_queue, queues
from outbox.retry import MAX_BACKOFF_SECONDS, RetryPolicy


class Middle(random.Random):
    """Draws the middle of every range: a wait without its jitter."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


class Lowest(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return a


class Highest(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return b


@pytest.mark.parametrize(
    ("base", "attempt", "seconds"),
    [
        (2, 1, 2),
        (2, 2, 4),
        (2, 3, 8),
        (2, 10, 1024),
        (2, 11, 2048),
        (2, 12, MAX_BACKOFF_SECONDS),  # 4096 without the clamp
        (1, 1, 1),
        (1, 2, 2),
        (0.5, 3, 2),
        (0, 5, 0),
        (2, 1_000_000, MAX_BACKOFF_SECONDS),
    ],
)
def test_backoff_doubles_up_to_an_hour(base: float, attempt: int, seconds: float):
    assert RetryPolicy(3, base).backoff(attempt, rng=Middle()) == seconds


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 2), (2, 4), (3, 8), (99, 3600)])
def test_backoff_jitter_reaches_from_half_to_one_and_a_half(attempt: int, seconds: float):
    policy = RetryPolicy(3, 2)

    assert policy.backoff(attempt, rng=Lowest()) == seconds * 0.5
    assert policy.backoff(attempt, rng=Highest()) == seconds * 1.5


def test_backoff_without_a_generator_varies_within_the_bounds():
    waits = [RetryPolicy(3, 2).backoff(1) for _ in range(200)]

    assert [wait for wait in waits if not 1 <= wait <= 3] == []
    assert len(set(waits)) > 100


def test_backoff_is_repeatable_with_a_seeded_generator():
    policy = RetryPolicy(3, 2)

    first = [policy.backoff(n, rng=random.Random(7)) for n in range(1, 6)]
    second = [policy.backoff(n, rng=random.Random(7)) for n in range(1, 6)]

    assert first == second


def test_queues_have_the_policies_that_the_design_promises():
    policies = {
        name: (queue.retry.max_attempts, queue.retry.backoff_seconds, queue.timeout_seconds)
        for name, queue in queues().items()
    }

    assert policies == {
        "verify_document": (3, 2, 10),
        "create_payment": (3, 2, 10),
        "apply_payment_event": (3, 2, 10),
        "send_email": (2, 1, 10),
    }


def test_queue_lease_outlasts_an_attempt():
    assert [q.name for q in queues().values() if q.lease_seconds <= q.timeout_seconds] == []


def test_queue_is_rate_limited_only_if_the_settings_say_so(settings):
    options = {"max_attempts": 3, "backoff_seconds": 2, "timeout_seconds": 10}
    settings.OUTBOX_QUEUES = {"free": options, "limited": {**options, "rate_per_second": 5}}

    rates = {name: queue.rate_per_second for name, queue in queues.__wrapped__().items()}

    assert rates == {"free": None, "limited": 5}


def test_get_queue_that_the_settings_do_not_have_is_an_error():
    with pytest.raises(KeyError, match="no_such_queue"):
        get_queue("no_such_queue")
