from __future__ import annotations

from pathlib import Path

from runtime.logs import tail


def test_tail_is_the_last_lines_indented(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_text("".join(f"line {number}\n" for number in range(10_000)))

    assert tail(log, lines=2) == "    line 9998\n    line 9999"


def test_tail_of_no_file_is_empty(tmp_path: Path) -> None:
    assert tail(tmp_path / "web.log") == ""
