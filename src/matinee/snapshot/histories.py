"""Histories that stay in Parquet: what a cluster wrote, read one person at a time.

    FOLDER/part=K/*.parquet     as a cluster writes them, in any storage that pyarrow reads
    histories-0000K.parquet     the same in a snapshot's folder

A person is in part crc32(user id) % parts. One row per person: user, and lists of movies (positions, ascending), stars
and, where known, times; rows sorted by user as bytes, in small row groups, so that one of them is read for a question.
"""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from numpy.typing import NDArray

from matinee.errors import DataError, ModelError, StoreError
from matinee.ids import Ids
from matinee.kernels import Csr
from matinee.ratings import History, Ratings, Scale, Stars, Times, Totals, histograms
from matinee.snapshot import files as snapshot_files
from matinee.snapshot.files import Entry

COLUMNS = ("user", "movies", "stars")
MOST_OPENED = 4_096
"""Files whose footers are remembered."""


class Block(NamedTuple):
    """Some people: their ids (B,), their ratings (B, n_movies), and when they gave them (n,) where that is known."""

    users: pa.StringArray
    rows: Csr
    times: Times | None


@dataclass(frozen=True)
class HistoryFiles:
    """Where they are.

    folder      a path, or an address such as s3://... that pyarrow.fs reads
    parts       over how many files people are spread
    files       {part: name in the folder}; a part without people has none
    users       how many people there are
    has_times   whether their ratings have times
    """

    folder: str
    parts: int
    files: Mapping[int, str]
    users: int
    has_times: bool

    @classmethod
    def of(cls, said: Mapping[str, Any], folder: Path) -> HistoryFiles:
        """Return what a manifest describes; those without a folder of their own are in the snapshot's."""
        files = {int(part): str(name) for part, name in said["files"].items()}
        return cls(
            said["folder"] or str(folder), int(said["parts"]), files, int(said["users"]), bool(said["has_times"])
        )

    def described(self) -> dict[str, Any]:
        """Return them as a manifest holds them: without a folder where they are in the snapshot's."""
        return {**asdict(self), "folder": self.folder if self.is_elsewhere else ""}

    def addresses(self) -> list[str]:
        """Return the files' addresses, as a cluster reads them."""
        folder = self.folder if self.is_elsewhere else Path(self.folder).resolve().as_uri()
        return [f"{folder}/{name}" for name in self.files.values()]

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is remembered of opened files."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def is_elsewhere(self) -> bool:
        """Whether they are not in a folder of this machine."""
        return "://" in self.folder

    def kept_in(self, folder: Path) -> tuple[HistoryFiles, dict[str, Entry]]:
        """Link or copy the files into a snapshot's folder; return them there, with their entries for its manifest.

        Those that are elsewhere stay there, and have no entries.
        """
        if self.is_elsewhere:
            return self, {}
        names = {part: f"histories-{part:05}.parquet" for part in self.files}
        for part, name in self.files.items():
            _link(Path(self.folder, name), folder / names[part])
        entries = {name: snapshot_files.entry_of(folder / name) for name in names.values()}
        return HistoryFiles(str(folder), self.parts, names, self.users, self.has_times), entries

    def get(self, user: str) -> History | None:
        """Return one person's ratings, or None where nobody has this id. Raises StoreError where a file is damaged."""
        try:
            key = user.encode()
        except UnicodeEncodeError:
            return None
        part = zlib.crc32(key) % self.parts
        if part not in self.files:
            return None
        with _readable(f"{self.folder}/{self.files[part]}"):
            return self._found(part, user, key)

    def _found(self, part: int, user: str, key: bytes) -> History | None:
        metadata, ends = self._opened(part)
        for group, (low, high) in enumerate(ends):
            if low <= key <= high:
                table = self._file(part, metadata).read_row_group(group, COLUMNS)
                row = Ids(table["user"].combine_chunks(), is_sorted=True).position(user)
                if row is None:
                    return None
                one = table.slice(row, 1)
                movies, stars = (np.asarray(one[name].chunk(0).flatten()) for name in ("movies", "stars"))
                return History(movies, stars)
        return None

    def people(self) -> Iterator[pa.StringArray]:
        """Yield the ids of all people; reads nothing else. Raises StoreError where a file is damaged."""
        for part, name in self.files.items():
            with _readable(f"{self.folder}/{name}"):
                for batch in self._file(part).iter_batches(columns=["user"]):
                    yield _list(batch.column("user"))

    def blocks(self, n_movies: int, size: int = 65_536) -> Iterator[Block]:
        """Yield all people, part by part, at most `size` at a time. Raises StoreError where a file is damaged."""
        for part in sorted(self.files):
            yield from self.blocks_of(part, n_movies, size)

    def blocks_of(self, part: int, n_movies: int, size: int = 65_536) -> Iterator[Block]:
        """Yield the people of one part."""
        columns = [*COLUMNS, *(["times"] if self.has_times else [])]
        with _readable(f"{self.folder}/{self.files[part]}"):
            for batch in self._file(part).iter_batches(size, columns=columns):
                yield block_of(batch, n_movies)

    @cached_property
    def _opened(self) -> Callable[[int], tuple[pq.FileMetaData, list[tuple[bytes, bytes]]]]:
        return lru_cache(MOST_OPENED)(self._ends)

    def _ends(self, part: int) -> tuple[pq.FileMetaData, list[tuple[bytes, bytes]]]:
        """Return a file's metadata and the first and last user of each of its row groups."""
        metadata = self._file(part).metadata
        place = metadata.schema.to_arrow_schema().get_field_index("user")
        return metadata, [_end(metadata.row_group(group).column(place)) for group in range(metadata.num_row_groups)]

    def _file(self, part: int, metadata: pq.FileMetaData | None = None) -> pq.ParquetFile:
        filesystem, root = _filesystem(self.folder)
        return pq.ParquetFile(filesystem.open_input_file(f"{root}/{self.files[part]}"), metadata=metadata)


def _end(column: pq.ColumnChunkMetaData) -> tuple[bytes, bytes]:
    found = column.statistics
    if found is None or not found.has_min_max:
        raise pa.ArrowInvalid("it has no statistics of its users")
    return found.min.encode(), found.max.encode()


def block_of(batch: pa.RecordBatch | pa.Table, n_movies: int) -> Block:
    """Return rows of the files as people with their ratings."""
    movies, stars = (_list(batch.column(name)) for name in ("movies", "stars"))
    times = _list(batch.column("times")) if "times" in batch.schema.names else None
    users = batch.column("user")
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(movies.value_lengths().to_numpy(), dtype=np.int64)])
    rows = Csr(indptr, np.asarray(movies.flatten()), np.asarray(stars.flatten()), n_movies)
    return Block(_list(users), rows, None if times is None else np.asarray(times.flatten()))


def _list(column: pa.Array | pa.ChunkedArray) -> Any:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


class UncountedIds(Ids):
    """Ids of which only the number is known here; the histories hold them."""

    __slots__ = ("number",)

    def __init__(self, count: int) -> None:
        super().__init__([])
        self.number = count

    def __len__(self) -> int:
        return self.number


class RowsInParquet:
    """Stands where a Csr would: whatever is asked of it raises ModelError."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise ModelError(
            "the ratings of this snapshot are kept as a cluster wrote them, person by person; train or tune on the "
            "files they came from with the engine spark, or fit them anew with `refit(store, live)`"
        )


@dataclass(frozen=True, eq=False, repr=False)
class StoredRatings(Ratings):
    """Ratings whose rows stay in Parquet: totals are here, one person's rows are read when asked for.

    Models that are asked for scores need no more; what needs all rows, as fitting does, raises ModelError.
    """

    histories: HistoryFiles = field(kw_only=True)

    @classmethod
    def of(cls, histories: HistoryFiles, movies: Ids, scale: Scale, totals: Totals) -> StoredRatings:
        """Return the ratings in these files."""
        rows: Any = RowsInParquet()
        return cls(UncountedIds(histories.users), movies, rows, scale, None, totals, histories=histories)

    def __repr__(self) -> str:
        return f"StoredRatings({self.n:,} ratings of {self.n_raters:,} users in {self.histories.folder})"

    @property
    def n(self) -> int:
        """The number of ratings."""
        return int(self.movie_counts.sum())

    @property
    def n_raters(self) -> int:
        """The number of users who rated anything."""
        return self.histories.users

    @cached_property
    def movie_sums(self) -> NDArray[np.float64]:
        """(n_movies,) sum of the stars."""
        if self.totals is not None and self.totals.movie_sums is not None:
            return self.totals.movie_sums
        return np.where(self.movie_counts > 0, self.movie_means, 0).astype(np.float64) * self.movie_counts

    @cached_property
    def movie_histograms(self) -> NDArray[np.int32]:
        """(n_movies, L) how many ratings are nearest to each of the scale's levels; reads all files, once."""
        rows = (block.rows for block in self.histories.blocks(len(self.movies)))
        return histograms(((one.indices, one.values) for one in rows), len(self.movies), self.scale)

    def stars_given(self) -> tuple[Stars, NDArray[np.int64]]:
        """Return the numbers of stars that were given, ascending, and how often each was; reads all files."""
        pieces = [np.unique(block.rows.values, return_counts=True) for block in self.histories.blocks(len(self.movies))]
        stars, places = np.unique(np.concatenate([stars for stars, _ in pieces]), return_inverse=True)
        return stars, np.bincount(places, np.concatenate([counts for _, counts in pieces])).astype(np.int64)

    def movie_counts_since(self, timestamp: int) -> NDArray[np.int64]:
        """(n_movies,) number of ratings at or after a time; reads all files, a second for some 20 million ratings.

        Raises DataError where the ratings have no times.
        """
        if not self.histories.has_times:
            raise DataError("the ratings have no timestamps; leave out rated_since")
        counts = np.zeros(len(self.movies), np.int64)
        for block in self.histories.blocks(len(self.movies)):
            given = np.asarray(block.times) >= timestamp
            counts += np.bincount(block.rows.indices[given], minlength=len(counts))
        return counts

    def get(self, user: str) -> History | None:
        """Return the ratings of the user with this external id, or None where it is unknown.

        Raises StoreError where a file is damaged.
        """
        found = self.histories.get(user)
        if found is not None and len(found) and int(found.movies.view(np.uint32).max()) >= len(self.movies):
            raise StoreError(f"{self.histories.folder} is damaged: it names other movies; activate another snapshot")
        return found


@contextmanager
def _readable(place: str) -> Iterator[None]:
    """Let what goes wrong with a file name it."""
    try:
        yield
    except (pa.ArrowException, OSError, KeyError) as problem:
        reason = str(problem).splitlines()[0] if str(problem) else "it cannot be read"
        raise StoreError(f"{place} is missing or damaged: {reason}; activate another snapshot") from problem


@lru_cache(maxsize=16)
def _filesystem(folder: str) -> tuple[pafs.FileSystem, str]:
    if "://" in folder:
        return pafs.FileSystem.from_uri(folder)  # type: ignore[no-any-return]
    return pafs.LocalFileSystem(), folder


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
