"""JSON lines: an object for each row, or one array of them, as rows of text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from matinee.datasets import identifiers
from matinee.datasets.delimited import SAMPLE_LINES, Row
from matinee.errors import DataError


@dataclass(frozen=True)
class JsonLines:
    """A table of JSON objects; `header` has the keys of the first of them."""

    name: str
    data: bytes | Path
    header: tuple[str, ...]

    def rows(self) -> Iterator[Row]:
        """Yield every object, its values as text: nothing for null, lists and objects as JSON."""
        for line, found in _objects(self.data):
            if isinstance(found, str):
                yield Row(line, [], found)
            else:
                yield Row(line, [_text(found.get(name)) for name in self.header])


def read(data: bytes | Path, name: str) -> JsonLines:
    """Find the columns of a file of JSON objects. Raises DataError where it has none."""
    first = [found for _, found in islice(_objects(data), SAMPLE_LINES) if not isinstance(found, str)]
    header = tuple(dict.fromkeys(key for found in first for key in found))
    if not header:
        raise DataError(f"{name} holds no JSON objects; it needs one on each line, such as " + '{"userId": 1, ...}')
    return JsonLines(name, data, header)


def _objects(data: bytes | Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield (line, object, or the rule that the line breaks)."""
    raw = data.read_bytes() if isinstance(data, Path) else data
    text = raw.decode("utf-8-sig", errors="surrogateescape")
    if text.lstrip().startswith("["):
        yield from _in_array(text)
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, _object(line)


def _in_array(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    try:
        found = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as problem:
        yield 1, f"it is no JSON: {problem}"
        return
    for number, one in enumerate(found, 1):
        yield number, _checked(one)


def _object(line: str) -> dict[str, Any] | str:
    try:
        return _checked(json.loads(line, object_pairs_hook=_Pairs))
    except (ValueError, RecursionError) as problem:
        return f"it is no JSON: {problem}"


class _Pairs(list[tuple[str, Any]]):
    """The keys and values of an object, in which a key may stand twice."""


def _checked(found: Any) -> dict[str, Any] | str:
    if not isinstance(found, _Pairs):
        return "it is no JSON object"
    values = dict(found)
    return values if len(values) == len(found) else "it has one key twice"


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float):
        return identifiers.of_float(value)
    return str(value) if isinstance(value, int) else json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, _Pairs):
        return {key: _plain(one) for key, one in value}
    return [_plain(one) for one in value] if isinstance(value, list) else value
