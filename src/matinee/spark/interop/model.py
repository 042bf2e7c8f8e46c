"""SparkModel: what Spark saved of ALS, with the ids that people know.

id         integer
features   list of k floats (pyspark.ml) or doubles (pyspark.mllib), three-level or legacy two-level
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from matinee.errors import DataError
from matinee.ids import Ids
from matinee.spark.interop.saved import MLLIB, Found, Saved, find, tuned_params, visible


@dataclass(frozen=True, eq=False)
class SavedFactors:
    """One side as it was saved: ids (n,) int64, distinct; values (n, k) float32, finite."""

    ids: NDArray[np.int64]
    values: NDArray[np.float32]


def read_factors(folder: Path, rank: int) -> SavedFactors:
    """Read one side of a model, all parts of it.

    Raises DataError naming the part that is damaged, or the id whose factors are not `rank` finite numbers or are
    there twice, and where the folder has no factors.
    """
    parts = [_part(path, rank) for path in visible(folder)]
    if not sum(len(part.ids) for part in parts):
        raise DataError(f"{folder} holds no factors: {len(parts)} part files without a row; save the model again")
    joined = SavedFactors(np.concatenate([part.ids for part in parts]), np.concatenate([part.values for part in parts]))
    ids, counts = np.unique(joined.ids, return_counts=True)
    if len(ids) < len(joined.ids):
        twice = ids[counts > 1][0]
        raise DataError(f"{folder}: the id {twice} is there twice, perhaps as parts of two models; save it again")
    return joined


def read_part(path: Path, columns: list[str]) -> pa.Table:
    """Read columns of one part file; those it lacks are left out. Raises DataError where it is damaged."""
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
        return file.read([name for name in columns if name in file.schema_arrow.names])
    except (pa.ArrowException, OSError) as problem:
        reason = str(problem).splitlines()[0].rstrip(".")
        raise DataError(f"{path} is not a complete Parquet file ({reason}); copy or save the model again") from None


def _part(path: Path, rank: int) -> SavedFactors:
    table = read_part(path, ["id", "features"])
    if table.num_columns < 2 or not _fits(table.schema):
        raise DataError(f"{path} has no columns id (integer) and features (list of numbers): {_columns(table)}")
    if table["id"].null_count or table["features"].null_count:
        raise DataError(f"{path} has a row without id or features; save the model again")
    ids = np.asarray(table["id"].cast(pa.int64()), np.int64)
    lengths = np.asarray(pc.list_value_length(table["features"]))
    if np.any(lengths != rank):
        bad = int(np.argmax(lengths != rank))
        raise DataError(f"{path}: id {ids[bad]} has {lengths[bad]} factors where the metadata says rank {rank}")
    values = np.asarray(pc.list_flatten(table["features"]).cast(pa.float32()), np.float32).reshape(len(ids), rank)
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        raise DataError(f"{path}: a factor of id {ids[~finite][0]} is not a finite number; the training had failed")
    return SavedFactors(ids, values)


def _fits(schema: pa.Schema) -> bool:
    id_type, features = schema.field("id").type, schema.field("features").type
    return bool(
        pa.types.is_integer(id_type) and pa.types.is_list(features) and pa.types.is_floating(features.value_type)
    )


def _columns(table: pa.Table) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in table.schema) or "neither is there"


@dataclass(frozen=True, eq=False)
class FactorSide:
    """Users or movies: external ids (n,), sorted, and their factors (n, k) float32."""

    ids: Ids
    factors: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SparkModel:
    """Both sides of a saved ALS model.

    params    what a tuning around it says of ALS, as Spark names it (regParam, alpha, implicitPrefs, nonnegative);
              empty where nothing does: neither format keeps them
    origin    which class and version of Spark wrote it, where that is known
    """

    users: FactorSide
    movies: FactorSide
    params: Mapping[str, Any]
    origin: str

    @property
    def rank(self) -> int:
        return int(self.movies.factors.shape[1])


def read_model(path: str | os.PathLike[str]) -> SparkModel:
    """Read `MatrixFactorizationModel.save`, `ALSModel.save`, or a pipeline or tuned model with one of them inside.

    Ids are the labels of the StringIndexer that made them, otherwise the decimal strings of Spark's integers.
    Raises DataError naming the file that is missing or damaged and the rule it breaks.
    """
    found = find(path)
    als = found.als
    rank = als.metadata.get("rank")
    if not isinstance(rank, int) or rank < 1:
        raise DataError(f"{als.path / 'metadata'} names no rank, so this is not a whole ALS model; save it again")
    folders = ("data/user", "data/product") if als.kind == MLLIB else ("userFactors", "itemFactors")
    columns = (als.param("userCol", "user"), als.param("itemCol", "item"))
    users, movies = (
        _side(read_factors(als.path / folder, rank), _labels(found, column), column)
        for folder, column in zip(folders, columns, strict=True)
    )
    version = als.metadata.get("sparkVersion")
    return SparkModel(users, movies, tuned_params(found), f"{als.kind} of Spark {version}" if version else als.kind)


def _side(factors: SavedFactors, labels: pa.Array | None, column: str) -> FactorSide:
    if labels is None:
        names = pa.array(factors.ids).cast(pa.string())
        values = factors.values
    else:
        known = factors.ids != len(labels)  # handleInvalid="keep" gives this index to what has no label
        if np.any((factors.ids[known] < 0) | (factors.ids[known] > len(labels))):
            raise DataError(f"the indexer of column {column} has {len(labels)} labels, and ALS has an id beyond them")
        names, values = labels.take(pa.array(factors.ids[known])), factors.values[known]
    ids = Ids(names)
    ordered = np.empty_like(values)
    ordered[ids.positions(names)] = values
    return FactorSide(ids, ordered)


def _labels(found: Found, column: str) -> pa.Array | None:
    """Return the labels of the indexer that writes a column, by index; None where no indexer does."""
    labels = None
    for indexer in found.indexers:
        outputs = indexer.param("outputCols") or [indexer.param("outputCol")]
        if column in outputs:
            labels = _labels_of(indexer, outputs.index(column))
    return labels


def _labels_of(indexer: Saved, place: int) -> pa.Array:
    """Return one output's labels: `labelsArray` of Spark 3 on, `labels` before."""
    folder = indexer.path / "data"
    for part in visible(folder):
        table = read_part(part, ["labelsArray", "labels"])
        if table.num_rows and table.num_columns:
            row = table.to_pylist()[0]
            return pa.array(row["labelsArray"][place] if "labelsArray" in row else row["labels"], pa.string())
    raise DataError(f"{folder} holds no labels of the StringIndexer; save the pipeline again")
