from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import matinee


def test_import_matinee__loads_nothing_heavy() -> None:
    code = "import sys, matinee; print(sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = ast.literal_eval(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    )
    assert not {"numpy", "pyarrow", "scipy", "flask", "sqlalchemy", "typer", "rich", "granian"} & set(loaded)


@pytest.mark.parametrize("name", matinee.__all__)
def test_every_public_name__is_where_the_table_says_and_has_a_docstring(name: str) -> None:
    value = getattr(matinee, name)
    assert isinstance(value, str) or value.__doc__


def test_every_public_name__is_known_to_type_checkers() -> None:
    tree = ast.parse(Path(matinee.__file__).read_text("utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    typed = {
        alias.asname: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert typed == {name: f"matinee.{place}" for name, place in matinee.PLACES.items()}


def test_an_unknown_name__is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Oracle'"):
        _ = matinee.Oracle
