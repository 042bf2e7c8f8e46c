"""Export: a snapshot's factors in the files that Spark loads, or as plain tables, without Spark.

    spark-mllib   MatrixFactorizationModel.load    metadata/  data/user/    data/product/   id int32, doubles
    spark-ml      ALSModel.load                    metadata/  userFactors/  itemFactors/    id int32, floats
    parquet       users.parquet  movies.parquet    id text, floats
    arrow         users.arrow    movies.arrow      the same as Arrow IPC files

Both of Spark's formats are those of its own save(): the first of every version, the second of 2.4 and later.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from matinee.batch import blocks, new_file, new_folder
from matinee.errors import DataError, UsageError
from matinee.models.als import AlsModel
from matinee.models.ials import IalsModel
from matinee.snapshot import Snapshot

Float32 = NDArray[np.float32]

PEOPLE = 65_536
"""People who are folded in at once."""


@dataclass(frozen=True, eq=False)
class Factored:
    """Users and movies by their external ids, with their factors.

    movies, Y   ids (m,) and factors (m, k) of the movies that have some
    """

    snapshot: Snapshot
    model: AlsModel | IalsModel
    movies: pa.StringArray
    Y: Float32

    @property
    def rank(self) -> int:
        return int(self.Y.shape[1])

    def users(self) -> Iterator[tuple[pa.StringArray, Float32]]:
        """Yield all people of the snapshot, folded in: ids (B,) and factors (B, k), some at a time."""
        for people, histories in blocks(self.snapshot.dataset.ratings, PEOPLE):
            profiles = self.model.fold_in(histories)
            yield people, profiles if isinstance(profiles, np.ndarray) else profiles.factors


def factored(snapshot: Snapshot, name: str | None = None) -> Factored:
    """Return a snapshot's `als` or `ials`; of both the one that is named, or the rater.

    Raises UsageError where it has none, or no people.
    """
    models = (snapshot.rater, *([snapshot.ranker] if snapshot.ranker else []))
    found = [one for one in models if isinstance(one, AlsModel | IalsModel) and name in (None, one.config.name)]
    if not found:
        raise UsageError(
            f"snapshot {snapshot.id} has {' and '.join(_name(one) for one in models)}, and no "
            f"{name or 'model of factors alone'} to export; train with `rater=ALS()` or `ranker=IALS()`"
        )
    if not len(snapshot.dataset.ratings.users):
        raise UsageError(
            f"snapshot {snapshot.id} holds nobody's ratings, so there are no users' factors to export; import it again "
            "with `ratings=DATA`"
        )
    model = found[0]
    has = model.rated if isinstance(model, AlsModel) else model.movie_factors.any(axis=1)
    movies = snapshot.dataset.catalog.ids.array.filter(pa.array(has))
    return Factored(snapshot, model, movies, model.movie_factors[has])


def _name(model: Any) -> str:
    return str(model.config.name)


FactorRows = Iterable[tuple[pa.StringArray, Float32]]

LARGEST = 2**31 - 1
LONGEST = len(str(-LARGEST))
PART = "part-00000.snappy.parquet"
ML_DEFAULTS = {"userCol": "user", "itemCol": "item", "predictionCol": "prediction", "coldStartStrategy": "nan"}
ML_SINCE = "2.4.0"


@dataclass(frozen=True)
class FactorLayout:
    """Where a format has users and movies, the columns of both, and the kind of its numbers."""

    places: tuple[str, str]
    columns: tuple[str, str]
    numbers: pa.DataType

    @property
    def is_sparks(self) -> bool:
        """Whether ids are Spark's integers."""
        return self.columns == ("id", "id")


LAYOUTS = {
    "spark-mllib": FactorLayout((f"data/user/{PART}", f"data/product/{PART}"), ("id", "id"), pa.float64()),
    "spark-ml": FactorLayout((f"userFactors/{PART}", f"itemFactors/{PART}"), ("id", "id"), pa.float32()),
    "parquet": FactorLayout(("users.parquet", "movies.parquet"), ("user", "movie"), pa.float32()),
    "arrow": FactorLayout(("users.arrow", "movies.arrow"), ("user", "movie"), pa.float32()),
}


@dataclass(frozen=True)
class Exported:
    """What was written: which model of which snapshot, and how many users and movies with how many factors."""

    snapshot: str
    model: str
    rank: int
    users: int
    movies: int


def export_model(snapshot: Snapshot, form: str, out: str | os.PathLike[str], *, model: str | None = None) -> Exported:
    """Write the factors of a snapshot's `als` or `ials` into the new folder `out`.

    form    one of LAYOUTS
    model   als or ials, where a snapshot has both; its rater unless given

    Users are folded in from the snapshot's ratings; x . y is the model's score, unclipped, also of people whose history
    is so short that the baseline answers them here. Movies without factors are left out.
    Raises UsageError where no model is one of factors or `out` exists, DataError for ids that Spark does not have.
    """
    if form not in LAYOUTS:
        raise UsageError(f"the format is {', '.join(LAYOUTS)}, not {form!r}")
    layout, sides = LAYOUTS[form], factored(snapshot, model)
    with new_folder(out) as folder:
        users, movies = (
            _write(folder / place, layout, column, what, side)
            for place, column, what, side in zip(
                layout.places,
                layout.columns,
                ("user", "movie"),
                (sides.users(), [(sides.movies, sides.Y)]),
                strict=True,
            )
        )
        if layout.is_sparks:
            _write_metadata(folder, form, sides)
    return Exported(snapshot.id, sides.model.config.name, sides.rank, users, movies)


def _write(path: Path, layout: FactorLayout, column: str, what: str, side: FactorRows) -> int:
    """Write one side and return how many rows it has."""
    features = pa.list_(pa.field("element", layout.numbers, nullable=False))
    kind = pa.int32() if layout.is_sparks else pa.string()
    schema = pa.schema([pa.field(column, kind, nullable=False), pa.field("features", features, nullable=False)])
    rows = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with new_file(path) as file, _writer(path, file, schema) as writer:
        for ids, factors in side:
            numbers = pa.array(factors.reshape(-1)).cast(layout.numbers)
            lists = pa.ListArray.from_arrays(_offsets(factors), numbers, type=features)
            given = spark_ids(ids, what) if layout.is_sparks else ids
            writer.write_batch(pa.record_batch([given, lists], schema=schema))
            rows += len(ids)
    return rows


@contextmanager
def _writer(path: Path, file: Any, schema: pa.Schema) -> Iterator[Any]:
    if path.suffix == ".arrow":
        with pa.ipc.new_file(file, schema) as writer:
            yield writer
    else:
        with pq.ParquetWriter(file, schema, compression="snappy", write_page_checksum=True) as writer:
            yield writer


def _offsets(factors: Float32) -> pa.Array:
    n, k = factors.shape
    return pa.array(np.arange(n + 1, dtype=np.int32) * k, pa.int32())


def spark_ids(ids: pa.StringArray, what: str) -> pa.Array:
    """Return ids as the 32-bit integers that Spark's ALS has.

    Raises DataError naming the first that is no integer as Spark would write it, or beyond 32 bits.
    """
    whole = pc.match_substring_regex(ids, r"^(0|-?[1-9][0-9]*)$")
    if not pc.all(whole).as_py():
        raise _not_sparks(ids, pc.invert(whole), what, "is not a whole number")
    numbers = pc.if_else(pc.greater(pc.utf8_length(ids), LONGEST), str(LARGEST + 1), ids).cast(pa.int64())
    beyond = pc.or_(pc.greater(numbers, LARGEST), pc.less(numbers, -LARGEST - 1))
    if pc.any(beyond).as_py():
        raise _not_sparks(ids, beyond, what, "is beyond 32 bits")
    return numbers.cast(pa.int32())


def _not_sparks(ids: pa.StringArray, bad: pa.BooleanArray, what: str, why: str) -> DataError:
    first = ids.filter(bad)[0].as_py()
    return DataError(
        f"{what} id {first!r} {why}, and Spark's ALS has no such ids; the formats parquet and arrow have them"
    )


def _write_metadata(folder: Path, form: str, sides: Factored) -> None:
    """Write the line of JSON that Spark's load() begins with."""
    if form == "spark-mllib":
        said: dict[str, Any] = {
            "class": "org.apache.spark.mllib.recommendation.MatrixFactorizationModel",
            "version": "1.0",
            "rank": sides.rank,
        }
    else:
        said = {
            "class": "org.apache.spark.ml.recommendation.ALSModel",
            "timestamp": time.time_ns() // 1_000_000,
            "sparkVersion": ML_SINCE,
            "uid": f"ALS_{sha256(sides.snapshot.id.encode()).hexdigest()[:12]}",
            "paramMap": {},
            "defaultParamMap": ML_DEFAULTS,
            "rank": sides.rank,
        }
    (folder / "metadata").mkdir()
    with new_file(folder / "metadata" / "part-00000") as file:
        file.write(f"{json.dumps(said)}\n".encode())
