"""The words of messages, help and pages: CONTRIBUTING.md, "How it is written in English"."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import matinee

SOURCE = Path(matinee.__file__).parent
BANNED = re.compile(r"\b(told|said|heed|whoever|there is none|is let in|the own|cannot be meant)\b", re.IGNORECASE)
NAMES = {"said"}  # names of template variables and of elements, which no reader sees
MARKUP = re.compile(r"{{.*?}}|{%.*?%}|{#.*?#}|<[^>]*>", re.DOTALL)


def strings_of_modules() -> Iterator[tuple[str, str]]:
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in NAMES:
                yield f"{path.relative_to(SOURCE)}:{node.lineno}", node.value


def strings_of_pages() -> Iterator[tuple[str, str]]:
    pages = SOURCE / "service"
    for path in sorted((pages / "templates").glob("*.html")):
        yield path.name, MARKUP.sub(" ", path.read_text("utf-8"))
    for key, text in leaves(json.loads((pages / "pages" / "texts.json").read_text("utf-8"))):
        yield f"texts.json {key}", text


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield key, value
    else:
        for name, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(part, f"{key}/{name}")


@pytest.mark.once
@pytest.mark.parametrize("strings", [strings_of_modules, strings_of_pages])
def test_what_people_read__has_no_words_of_the_list(strings: Any) -> None:
    found = [f"{place}: {word[0]}" for place, text in strings() for word in [BANNED.search(text)] if word]
    assert not found, "\n".join(found)


@pytest.mark.once
def test_the_list__finds_its_words_in_sentences() -> None:
    assert BANNED.search("Whoever has the link")
    assert BANNED.search("only the own, as 'me'")
    assert not BANNED.search("the data's own scale, and what was untold")
