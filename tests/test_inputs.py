"""Every line of the table in docs/data.md is a test, and every test a line."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.inputs import people, tables
from tests.inputs.people import Person
from tests.inputs.tables import Input

INPUTS: list[Input | Person] = [*tables.INPUTS, *people.INPUTS]
PAGE = Path(__file__).parent.parent / "docs" / "data.md"
HEADING = "## Fifty kinds of input\n"


@pytest.mark.parametrize("one", INPUTS, ids=[one.kind for one in INPUTS])
def test_an_input__becomes_what_the_page_says(one: Input | Person, tmp_path: Path) -> None:
    one.check(tmp_path)


def test_the_page__lists_these_inputs() -> None:
    section = PAGE.read_text("utf-8").partition(HEADING)[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    assert lines == [f"| {one.kind} | {one.outcome} |" for one in INPUTS]
