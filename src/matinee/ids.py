"""Ids: the external ids of users or movies, sorted, on a memory map or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matinee.kernels import find_text

Positions = NDArray[np.int32]
Bits = NDArray[np.uint64]


class Ids(Sequence[str]):
    """External ids, sorted as UTF-8 bytes; an id's position among them is its row or column everywhere inside.

    Backed by one Arrow string array, so a snapshot's ids stay on the memory map and are found by binary search.

    >>> ids = Ids(["10", "2", "1"])
    >>> list(ids), ids.position("2"), ids.position("3")
    (['1', '10', '2'], 2, None)
    """

    __slots__ = ("_starts", "_texts", "array")

    def __init__(self, ids: Iterable[str] | pa.Array, *, is_sorted: bool = False) -> None:
        array = ids if isinstance(ids, pa.Array) else pa.array(ids, pa.string())
        self.array: pa.StringArray = array if is_sorted else pc.unique(array).sort()
        _, starts, texts = self.array.buffers()
        first, last = self.array.offset, self.array.offset + len(self.array)
        self._starts = np.frombuffer(starts or bytes(4), np.int32)[first : last + 1]
        self._texts = np.frombuffer(texts or b"", np.uint8)

    def __reduce__(self) -> tuple[Callable[[pa.StringArray], Ids], tuple[pa.StringArray]]:
        return _sorted, (self.array,)  # views of memory do not travel to other processes

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, position):  # type: ignore[no-untyped-def]
        if isinstance(position, slice):
            return self.array[position].to_pylist()
        return self.array[int(position)].as_py()

    def __iter__(self) -> Iterator[str]:
        return iter(self.array.to_pylist())

    def __contains__(self, value: object) -> bool:
        return isinstance(value, str) and self.position(value) is not None

    def position(self, value: str) -> int | None:
        """Return the position of one id, or None where it is unknown."""
        try:
            wanted = value.encode()
        except UnicodeEncodeError:
            return None
        return find_text(self._starts, self._texts, wanted)

    def positions(self, values: Iterable[str] | pa.Array) -> Positions:
        """Return the position of each id, -1 where it is unknown."""
        array = values if isinstance(values, pa.Array | pa.ChunkedArray) else _array(list(values))
        found = pc.fill_null(pc.index_in(array, value_set=self.array), -1)
        return np.asarray(found, dtype=np.int32)

    def take(self, positions: Positions) -> list[str]:
        """Return the ids at these positions."""
        return self.array.take(pa.array(positions)).to_pylist()  # type: ignore[no-any-return]

    def hashes(self) -> Bits:
        """Return 64 random bits for each id, the same everywhere and always."""
        digests = b"".join(blake2b(one.encode(), digest_size=8).digest() for one in self)
        return np.frombuffer(digests, "<u8").astype(np.uint64)


def mixed(bits: Bits) -> Bits:
    """Return bits of which each depends on all given ones (the finaliser of SplitMix64, Steele et al. 2014)."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def _sorted(array: pa.StringArray) -> Ids:
    return Ids(array, is_sorted=True)


def _array(values: list[str]) -> pa.StringArray:
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        return pa.array([value if _is_utf8(value) else None for value in values], pa.string())


def _is_utf8(value: str) -> bool:
    """Return whether text can be an id at all: what a terminal could not decode has no UTF-8 form."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
