from __future__ import annotations

import pytest

from outbox import endings
from outbox.endings import (
    DELIVERED,
    MAX_CLASS_LENGTH,
    MAX_MESSAGE_LENGTH,
    MAX_TRACEBACK_LENGTH,
    Ending,
    ending_of,
)
from outbox.exceptions import AttemptGivenBack, AttemptTimedOut, PermanentError, Unavailable
from outbox.models import DeadReason, Outcome, State
from outbox.retry import RetryPolicy

ERROR = ValueError("no luck")
PERMANENT = PermanentError("no such account")
AWAY = Unavailable("away")
TIMEOUT = AttemptTimedOut("too long")
GIVEN_BACK = AttemptGivenBack("told to stop")

FAILED, TIMED_OUT = Outcome.FAILED, Outcome.TIMED_OUT
PENDING, DEAD = State.PENDING, State.DEAD


class Policy(RetryPolicy):
    """Waits ten seconds for each attempt that was made."""

    def backoff(self, attempt: int, *, rng: object = None) -> float:
        return 10.0 * attempt


def ending(error: BaseException, *flags: str, attempt: int = 2) -> Ending:
    return ending_of(
        error,
        retry=Policy(3, 1),
        attempt=attempt,
        is_last="last" in flags,
        is_probe="probe" in flags,
        is_known="unknown" not in flags,
    )


@pytest.mark.parametrize(
    ("error", "flags", "expected"),
    [
        (ERROR, "", Ending(FAILED, PENDING, ERROR, delay=20)),
        (ERROR, "probe", Ending(FAILED, PENDING, ERROR, delay=20)),
        (ERROR, "last", Ending(FAILED, DEAD, ERROR, DeadReason.EXHAUSTED)),
        (ERROR, "last probe", Ending(FAILED, DEAD, ERROR, DeadReason.EXHAUSTED)),
        (ERROR, "unknown", Ending(FAILED, DEAD, ERROR, DeadReason.UNKNOWN_EVENT)),
        (PERMANENT, "", Ending(FAILED, DEAD, PERMANENT, DeadReason.PERMANENT)),
        (PERMANENT, "probe", Ending(FAILED, DEAD, PERMANENT, DeadReason.PERMANENT)),
        (PERMANENT, "last", Ending(FAILED, DEAD, PERMANENT, DeadReason.PERMANENT)),
        (TIMEOUT, "", Ending(TIMED_OUT, PENDING, TIMEOUT, delay=20)),
        (TIMEOUT, "probe", Ending(TIMED_OUT, PENDING, TIMEOUT, delay=20)),
        (TIMEOUT, "last", Ending(TIMED_OUT, DEAD, TIMEOUT, DeadReason.EXHAUSTED)),
        (AWAY, "", Ending(FAILED, PENDING, AWAY, delay=20)),
        (AWAY, "last", Ending(FAILED, DEAD, AWAY, DeadReason.EXHAUSTED)),
        (AWAY, "probe", Ending(FAILED, PENDING, AWAY, delay=10, back=True)),
        (AWAY, "probe last", Ending(FAILED, PENDING, AWAY, delay=10, back=True)),
        (GIVEN_BACK, "", Ending(Outcome.GIVEN_BACK, PENDING, GIVEN_BACK, back=True)),
        (GIVEN_BACK, "last", Ending(Outcome.GIVEN_BACK, PENDING, GIVEN_BACK, back=True)),
        (GIVEN_BACK, "probe", Ending(Outcome.GIVEN_BACK, PENDING, GIVEN_BACK, back=True)),
    ],
)
def test_ending_of_an_error(error: BaseException, flags: str, expected: Ending):
    assert ending(error, *flags.split()) == expected


@pytest.mark.parametrize(
    ("retry_after", "flags", "attempt", "delay"),
    [
        (0, "", 3, 30),
        (29, "", 3, 30),
        (31, "", 3, 31),
        (31, "probe", 3, 31),
        (9, "probe", 3, 10),
        (1e9, "", 3, 3600),
    ],
)
def test_ending_waits_for_the_longer_of_backoff_and_what_the_provider_asked(
    retry_after: float, flags: str, attempt: int, delay: float
):
    error = Unavailable("busy", retry_after_seconds=retry_after)

    assert ending(error, *flags.split(), attempt=attempt).delay == delay


def test_report_of_a_success_is_empty():
    assert DELIVERED.report() == {"error_class": "", "error_message": "", "traceback": ""}


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def test_report_has_class_message_and_traceback():
    report = ending(raised(ValueError("no luck"))).report()

    assert (report["error_class"], report["error_message"]) == ("ValueError", "no luck")
    assert report["traceback"].startswith("Traceback (most recent call last):")
    assert report["traceback"].endswith("ValueError: no luck\n")


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("can't say")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError(), ""),
        (ValueError("a\x00b"), "a\ufffdb"),
        (ValueError("name \udcff.pdf"), "name ?.pdf"),
        (ValueError("Zeugnis ü 🎓"), "Zeugnis ü 🎓"),
        (Unprintable(), "<exception str() failed>"),
        (ValueError("x" * MAX_MESSAGE_LENGTH), "x" * MAX_MESSAGE_LENGTH),
        (ValueError("x" * (MAX_MESSAGE_LENGTH + 1)), "x" * MAX_MESSAGE_LENGTH),
    ],
    ids=["empty", "nul", "surrogate", "unicode", "unprintable", "longest", "too long"],
)
def test_report_message_is_what_postgresql_can_hold(error: Exception, message: str):
    assert ending(error).report()["error_message"] == message


def test_report_keeps_the_end_of_a_long_traceback(monkeypatch):
    monkeypatch.setattr(endings, "MAX_TRACEBACK_LENGTH", 20)

    assert (
        ending(raised(ValueError("no luck"))).report()["traceback"]
        == " ValueError: no luck\n"[-20:]
    )


def test_report_cuts_off_the_name_of_a_class_and_a_traceback_that_are_too_long():
    error = type("E" * (MAX_CLASS_LENGTH + 1), (Exception,), {})("x" * 2 * MAX_TRACEBACK_LENGTH)

    report = ending(raised(error)).report()

    assert report["error_class"] == "E" * MAX_CLASS_LENGTH
    assert len(report["traceback"]) == MAX_TRACEBACK_LENGTH
