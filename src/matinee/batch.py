"""Batch: every user's list at once, by the very calls that answer one person, as Parquet in a folder.

    snapshot's users, cut into blocks  --Recommender.top, predict-->  rows  -->  part-00000.parquet, ... in OUT

`OUT` appears whole or not at all: parts are written beside it and the folder is renamed when the last is on disk.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from matinee import scratch
from matinee.defaults import DEFAULT_N
from matinee.errors import UsageError
from matinee.kernels import Csr, check
from matinee.progress import Progress
from matinee.ratings import Ratings
from matinee.recommender import Filters, Order, Recommender
from matinee.snapshot.histories import StoredRatings

Item = TypeVar("Item")
Done = TypeVar("Done")

BLOCK = 2_048
"""Users whose lists are made by one call."""
BLOCKS_AHEAD, BLOCKS_PER_PART = 8, 32
SCHEMA = pa.schema(
    [
        pa.field("user", pa.string(), nullable=False),
        pa.field("rank", pa.int32(), nullable=False),  # 1 is the best
        pa.field("movie", pa.string(), nullable=False),
        pa.field("stars", pa.float32(), nullable=False),  # on the data's scale, clipped
        pa.field("low", pa.float32()),  # 90 % interval; null where the rater has none
        pa.field("high", pa.float32()),
        pa.field("match", pa.float32()),  # the ranker's score that orders; null where stars do
    ]
)


def batch_recommend(
    recommender: Recommender,
    out: str | os.PathLike[str],
    *,
    n: int = DEFAULT_N,
    filters: Filters | None = None,
    order: Order = "match",
    threads: int | None = None,
    progress: Progress | None = None,
) -> int:
    """Write the n best movies of every user of the snapshot into the new folder `out`; return how many rows.

    The lists are those of `Recommender.recommend` without live ratings, best first, users in the snapshot's order, in
    the columns of SCHEMA. The result does not depend on `threads`; `progress` receives the number of users done.
    Raises UsageError where `out` exists or cannot be written, and what the filters raise.
    """
    allowed = recommender.allowed(filters or Filters())
    ratings = recommender.dataset.ratings

    def lists(people: tuple[pa.StringArray, Csr]) -> tuple[int, pa.RecordBatch]:
        return len(people[0]), lists_of(recommender, *people, allowed, n, order)

    rows = users = 0
    with new_folder(out) as folder, ThreadPoolExecutor(check.thread_count(threads)) as pool:
        found = _in_order(pool, lists, blocks(ratings, BLOCK))
        for number, part in enumerate(iter(lambda: list(islice(found, BLOCKS_PER_PART)), [])):
            with _part(folder / f"part-{number:05}.parquet") as writer:
                for people, lines in part:
                    writer.write_batch(lines)
                    rows, users = rows + lines.num_rows, users + people
            if progress:
                progress("recommending", users, len(ratings.users), None)
    return rows


def blocks(ratings: Ratings, size: int) -> Iterator[tuple[pa.StringArray, Csr]]:
    """Yield all users with their ratings, at most `size` at a time."""
    if isinstance(ratings, StoredRatings):
        yield from ((block.users, block.rows) for block in ratings.histories.blocks(len(ratings.movies), size))
        return
    for start in range(0, len(ratings.users), size):
        stop = min(start + size, len(ratings.users))
        yield ratings.users.array.slice(start, stop - start), ratings.by_user.rows(start, stop)


def lists_of(
    recommender: Recommender, users: pa.StringArray, histories: Csr, allowed: NDArray[np.bool_], n: int, order: Order
) -> pa.RecordBatch:
    """Return the lists of B people, `users` (B,) with ratings (B, n_movies), one after another, as SCHEMA says."""
    rater = recommender.rater
    profiles = rater.fold_in(histories)
    positions, scores = recommender.top(histories, allowed, n, order, profiles)
    listed = positions >= 0
    predicted = rater.predict(profiles, np.maximum(positions, 0))
    rank = np.broadcast_to(np.arange(1, positions.shape[1] + 1, dtype=np.int32), positions.shape)
    by_stars = order == "stars" or recommender.ranker is None
    person = np.repeat(np.arange(len(users), dtype=np.int32), listed.sum(axis=1))
    columns = [
        users.take(pa.array(person)),
        rank[listed],
        recommender.dataset.catalog.ids.array.take(pa.array(positions[listed])),
        predicted.stars[listed],
        _null_where_unknown(predicted.low[listed]),
        _null_where_unknown(predicted.high[listed]),
        _null_where_unknown(np.full(len(person), np.nan, np.float32) if by_stars else scores[listed]),
    ]
    return pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=SCHEMA)


@contextmanager
def new_folder(out: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a folder to write in that becomes `out` when the block ends well, and is removed when it does not.

    Raises UsageError where `out` exists, cannot be written, or is not on this machine.
    """
    if "://" in str(out):
        raise UsageError(f"the output {out} is not a folder of this machine; write it here, then copy it there")
    target = Path(out)
    if target.exists():
        raise UsageError(f"the output {target} exists already; name a new folder, or remove this one")
    try:
        if not target.parent.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
        with scratch.new_folder(target) as folder:
            yield folder
    except OSError as problem:
        raise UsageError(f"cannot write the output {target}: {problem.strerror or problem}") from problem


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Give a new file to write in, which is on disk when the block ends."""
    with path.open("xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _part(path: Path) -> Iterator[pq.ParquetWriter]:
    with new_file(path) as file, pq.ParquetWriter(file, SCHEMA, compression="zstd") as writer:
        yield writer


def _in_order(pool: ThreadPoolExecutor, work: Callable[[Item], Done], items: Iterable[Item]) -> Iterator[Done]:
    """Yield work(item) of every item in order, a few of them ahead of the reader."""
    waiting: deque[Future[Done]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) > BLOCKS_AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _null_where_unknown(values: NDArray[np.float32]) -> pa.Array:
    return pa.array(values, mask=~np.isfinite(values))
