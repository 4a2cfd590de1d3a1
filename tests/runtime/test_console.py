from __future__ import annotations

import sys

import pytest

from runtime.console import Console


class BrokenPipe:
    def write(self, text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


def test_step_prints_its_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    with Console().step("Working"):
        pass

    assert capsys.readouterr().out == "Working ... 0.0 s\n"


def test_line_in_the_middle_of_a_step_gets_a_line_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console = Console()
    with console.step("Working"):
        console.say("Something happened")

    assert capsys.readouterr().out == "Working ... \nSomething happened\nWorking ... 0.0 s\n"


def test_step_that_fails_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no"), Console().step("Working"):
        raise ValueError("no")

    assert capsys.readouterr().out == "Working ... stopped\n"


def test_closed_terminal_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", BrokenPipe())

    Console().say("nobody reads this")
