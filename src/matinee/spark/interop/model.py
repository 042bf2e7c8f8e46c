"""SparkModel: what Spark saved of ALS, with the ids that people know."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matinee.errors import DataError
from matinee.ids import Ids
from matinee.spark.interop.factors import SavedFactors, read_factors, read_part
from matinee.spark.interop.metadata import MLLIB, Found, Saved, find, visible
from matinee.spark.interop.tuned import tuned_params


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
