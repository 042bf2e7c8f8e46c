from __future__ import annotations

import pytest

from matinee.cli import output


def test_iterations__write_lines_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "LINE_SECONDS", 0.0)
    with output.iterations("training") as progress:
        progress("als", 1, 10, 0.91234)
        progress("ease", 1, None, None)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("als: 1 of 10, RMSE 0.9123, ")
    assert first.endswith(" s left")
    assert second == "ease: 1"


def test_iterations__are_quiet_where_a_call_is_short(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "LINE_SECONDS", 1e9)
    with output.iterations("training") as progress:
        for done in range(100):
            progress("als", done, 100, None)
    assert capsys.readouterr().err == ""
