from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import env


def test_text_is_the_variable_or_the_default(monkeypatch):
    monkeypatch.setenv("SLUICE_TEST", "given")

    assert (env.text("SLUICE_TEST"), env.text("SLUICE_TEST_2", "default")) == ("given", "default")


def test_text_without_value_and_default_stops_the_start():
    with pytest.raises(ImproperlyConfigured, match="SLUICE_TEST"):
        env.text("SLUICE_TEST")


@pytest.mark.parametrize(("value", "expected"), [("0", False), ("1", True)])
def test_flag_is_0_or_1(monkeypatch, value, expected):
    monkeypatch.setenv("SLUICE_TEST", value)

    assert env.flag("SLUICE_TEST", default=not expected) is expected


@pytest.mark.parametrize("value", ["", "true", "2"])
def test_flag_refuses_anything_else(monkeypatch, value):
    monkeypatch.setenv("SLUICE_TEST", value)

    with pytest.raises(ImproperlyConfigured, match="SLUICE_TEST must be 0 or 1"):
        env.flag("SLUICE_TEST", default=False)


def test_number_at_its_minimum_is_taken(monkeypatch):
    monkeypatch.setenv("SLUICE_TEST", "2")

    assert env.number("SLUICE_TEST", 5, minimum=2) == 2


@pytest.mark.parametrize("value", ["1", "-2", "2.5", "", "two"])
def test_number_below_its_minimum_or_none_at_all_is_refused(monkeypatch, value):
    monkeypatch.setenv("SLUICE_TEST", value)

    with pytest.raises(ImproperlyConfigured, match="at least 2"):
        env.number("SLUICE_TEST", 5, minimum=2)


def test_words_are_separated_by_commas(monkeypatch):
    monkeypatch.setenv("SLUICE_TEST", "a, b,,c ")

    assert env.words("SLUICE_TEST", "") == ["a", "b", "c"]


def test_json_object_is_read_and_empty_without_the_variable(monkeypatch):
    monkeypatch.setenv("SLUICE_TEST", '{"TOKEN": "a", "LIMIT": 3}')
    assert env.json_object("SLUICE_TEST") == {"TOKEN": "a", "LIMIT": 3}
    assert env.json_object("SLUICE_TEST_2") == {}


@pytest.mark.parametrize("value", ["", "secret", "[1]", "null", '{"TOKEN": "secret"'])
def test_json_object_refuses_anything_else_and_does_not_show_it(monkeypatch, value):
    monkeypatch.setenv("SLUICE_TEST", value)
    with pytest.raises(ImproperlyConfigured, match="SLUICE_TEST must be a JSON object") as caught:
        env.json_object("SLUICE_TEST")
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
