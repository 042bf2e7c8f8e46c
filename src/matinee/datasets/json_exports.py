"""JSON exports: the lists that Trakt and Simkl hand out, and lists of flat objects, as rows of text.

[{"rating": 9, "rated_at": ..., "movie": {"title": ..., "ids": {...}}}]  -->  rating, rated_at, type, title, ...
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from matinee.datasets.delimited import Row
from matinee.errors import DataError

INNER = ("movie", "show", "episode", "season")
DATED = {"watched_at": "watched_at", "last_watched_at": "watched_at", "listed_at": "listed_at", "rated_at": "rated_at"}
IDS = {"imdb": "imdb_id", "tmdb": "tmdb_id", "trakt": "trakt_id", "simkl": "simkl_id"}


@dataclass(frozen=True)
class JsonTable:
    """Objects as rows; `header` has the keys of all of them."""

    name: str
    header: tuple[str, ...]
    objects: tuple[Mapping[str, str], ...]

    def rows(self) -> Iterator[Row]:
        """Yield every object with its place in the file, counted from 1."""
        for number, one in enumerate(self.objects, 1):
            yield Row(number, [one.get(name, "") for name in self.header])


def read(data: bytes, name: str) -> JsonTable:
    """Read a JSON document. Raises DataError where it is not a list of objects, nor several named ones."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as problem:
        raise DataError(f"{name} is not JSON: {problem}") from None
    lists = _lists(found)
    if not lists or not all(isinstance(one, dict) for kind in lists.values() for one in kind):
        raise DataError(f"{name} is JSON, but not a list of films; send the file as the site exports it")
    objects = tuple(_flat(one, kind) for kind, ones in lists.items() for one in ones)
    header = tuple(dict.fromkeys(key for one in objects for key in one))
    return JsonTable(name, header, objects)


def _lists(found: Any) -> dict[str, list[Any]]:
    if isinstance(found, list):
        return {"": found}
    named = found.items() if isinstance(found, dict) else ()
    return {kind: ones for kind, ones in named if isinstance(ones, list) and ones}


def _flat(one: Mapping[str, Any], kind: str) -> dict[str, str]:
    """Return one film of a list; in Simkl's, `kind` is movies, shows or anime."""
    inner = next((name for name in INNER if isinstance(one.get(name), dict)), None)
    what = {**one[inner], "type": one.get("type", inner)} if inner else one
    flat = {key: _text(value) for key, value in what.items()}
    flat |= {DATED.get(key, key): _text(value) for key, value in one.items() if key not in INNER}
    flat |= {IDS[key]: _text(value) for key, value in _ids(what) if key in IDS}
    if "type" not in flat and kind in ("shows", "anime"):
        flat["type"] = "show"
    return {key: text for key, text in flat.items() if key != "ids"}


def _ids(what: Mapping[str, Any]) -> Any:
    ids = what.get("ids")
    return ids.items() if isinstance(ids, dict) else ()


def _text(value: Any) -> str:
    if value is None or isinstance(value, dict | list):
        return ""
    return str(value).strip()
