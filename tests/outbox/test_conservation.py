from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from django.db import OperationalError
from django.utils.translation import ngettext_lazy

from outbox import conservation
from outbox.conservation import Broken, Check, Count, Finding, broken, check, gauge
from outbox.models import Gauge

pytestmark = pytest.mark.django_db


def register(name: str) -> Callable[[Count], Count]:
    says = ngettext_lazy("%d thing is lost.", "%d things are lost.")
    return gauge(name, says=says, page="admin:outbox_outbox_change")


@pytest.fixture(autouse=True)
def checks(monkeypatch: pytest.MonkeyPatch) -> dict[str, Check]:
    """Only the gauges of the test."""
    empty: dict[str, Check] = {}
    monkeypatch.setattr(conservation, "_checks", empty)
    return empty


@pytest.fixture
def lost() -> list[object]:
    """What the gauge `lost` finds."""
    found: list[object] = []
    register("lost")(lambda: Finding(len(found), found))
    return found


def test_check_notes_a_gauge_that_is_zero(lost):
    check()

    known = Gauge.objects.get()
    assert (known.name, known.value, known.examples) == ("lost", 0, [])
    assert (known.broken_since, broken()) == (None, [])


def test_check_notes_how_many_and_which_since_when(lost):
    lost += [7, "create_payment"]

    check()

    known = Gauge.objects.get()
    assert (known.value, known.examples) == (2, ["7", "create_payment"])
    assert known.broken_since == known.checked_at
    assert broken() == [
        Broken(
            "2 things are lost.",
            known.broken_since,
            [("7", "/admin/outbox/outbox/7/change/"), ("create_payment", "")],
        )
    ]


def test_check_again_updates_the_gauge_and_keeps_since_when_it_is_broken(lost):
    lost.append(7)
    check()
    first = Gauge.objects.get()
    lost.append(8)

    check()

    known = Gauge.objects.get()
    assert (known.value, known.examples) == (2, ["7", "8"])
    assert known.broken_since == first.broken_since
    assert known.checked_at > first.checked_at


def test_check_clears_a_gauge_that_is_zero_again(lost):
    lost.append(7)
    check()
    lost.clear()

    check()

    known = Gauge.objects.get()
    assert (known.value, known.examples, known.broken_since) == (0, [], None)


def test_check_notes_anew_since_when_a_gauge_is_broken_again(lost):
    lost.append(7)
    check()
    first = Gauge.objects.get().broken_since
    lost.clear()
    check()
    lost.append(8)

    check()

    since = Gauge.objects.get().broken_since
    assert since is not None
    assert since > first


def test_check_logs_only_what_is_broken_as_an_error(lost, caplog):
    register("fine")(lambda: Finding(0))
    lost.append(7)

    check()

    errors = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert errors == ["broken gauge=lost value=1 ids=['7']"]


def test_broken_lists_gauges_by_name(lost):
    register("amiss")(lambda: Finding(1))
    register("fine")(lambda: Finding(0))
    lost.append(7)

    check()

    assert [known.examples for known in broken()] == [[], [("7", "/admin/outbox/outbox/7/change/")]]


def test_gauge_name_is_taken_only_once(lost, checks):
    with pytest.raises(ValueError, match="Two gauges are called lost"):
        register("lost")(lambda: Finding(0))
    assert len(checks) == 1


def test_gauge_returns_the_function_that_it_registers(checks):
    def nothing() -> Finding:
        return Finding(0)

    assert register("nothing")(nothing) is nothing
    assert checks["nothing"].count is nothing


def test_check_of_a_gauge_that_fails_goes_on_with_the_others(checks, lost, caplog):
    def fail() -> Finding:
        raise ValueError("a bug of the gauge")

    checks.clear()
    register("broken")(fail)
    register("lost")(lambda: Finding(1, [7]))

    check()

    assert [known.name for known in Gauge.objects.all()] == ["lost"]
    assert "gauge failed name=broken" in caplog.text


def test_check_leaves_errors_of_the_database_to_the_relay(checks):
    def fail() -> Finding:
        raise OperationalError("the database is away")

    register("lost")(fail)

    with pytest.raises(OperationalError):
        check()
