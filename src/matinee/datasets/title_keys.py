"""Title keys: the movies of a catalogue by every key that another source's title may share with theirs.

titles, alternative ones too  --spellings-->  sorted keys  --binary search-->  movies, with how their titles differ
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import pyarrow as pa

from matinee.catalog import Catalog
from matinee.datasets import spellings
from matinee.ids import Ids, Positions
from matinee.titles import titles_in

SPARSE = 16  # bytes for each key


@dataclass(frozen=True, eq=False)
class Keys:
    """Sorted distinct keys; the movies of key k are movies[starts[k]:starts[k + 1]].

    hashes  a byte for each remainder of a key's hash, 0 where no key has it: it spares most searches for unknown titles
    """

    keys: Ids
    starts: Positions
    movies: Positions
    hashes: bytearray

    @classmethod
    def of(cls, owned: Iterable[tuple[str, int]]) -> Keys:
        """Sort (key, movie) pairs."""
        pairs = sorted({(key.encode("utf-8", "replace"), movie) for key, movie in owned if key})
        texts = [key for key, _ in pairs]
        first = [place for place, key in enumerate(texts) if not place or texts[place - 1] != key]
        keys = pa.array([texts[place].decode() for place in first], pa.string())
        movies = np.array([movie for _, movie in pairs], np.int32)
        hashes = bytearray(SPARSE * (len(first) + 1))
        for key in keys.to_pylist():
            hashes[hash(key) % len(hashes)] = 1
        return cls(Ids(keys, is_sorted=True), np.array([*first, len(pairs)], np.int32), movies, hashes)

    def __getitem__(self, key: str) -> list[int]:
        """Return the movies with a key."""
        place = self.keys.position(key) if self.hashes[hash(key) % len(self.hashes)] else None
        return [] if place is None else self.movies[self.starts[place] : self.starts[place + 1]].tolist()


@dataclass(frozen=True, eq=False)
class TitleKeys:
    """The keys of a catalogue's titles, as matinee.datasets.spellings makes them; parts and halves with the year."""

    same: Keys
    plain: Keys
    shorter: Keys
    parts: Keys
    halves: Keys

    @classmethod
    def of(cls, catalog: Catalog) -> TitleKeys:
        """Make the keys of all titles."""
        years = catalog.years.tolist()
        names = [
            (name, movie, years[movie])
            for movie, title in enumerate(catalog.table["title"].to_pylist())
            for name in titles_in(title)
        ]
        plain = [(spellings.plain(name), movie, year) for name, movie, year in names]
        return cls(
            Keys.of((spellings.same(name), movie) for name, movie, _ in names),
            Keys.of((key, movie) for key, movie, _ in plain),
            Keys.of((key, movie) for name, movie, _ in names for key in spellings.shorter(name)),
            Keys.of((in_year(part, year), movie) for name, movie, year in names for part in spellings.parts(name)),
            Keys.of((in_year(half, year), movie) for key, movie, year in plain for half in spellings.halves(key)),
        )


def in_year(key: str, year: int) -> str:
    """Return a key of titles of one year."""
    return f"{year} {key}"


_OF: WeakKeyDictionary[Catalog, TitleKeys] = WeakKeyDictionary()


def title_keys(catalog: Catalog) -> TitleKeys:
    """Return a catalogue's keys, made once."""
    try:
        return _OF[catalog]
    except KeyError:
        return _OF.setdefault(catalog, TitleKeys.of(catalog))
