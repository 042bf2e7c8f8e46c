"""Factors in Spark's Parquet: rows of an id and its k numbers, in parts, in any order and codec.

id         integer
features   list of k floats (pyspark.ml) or doubles (pyspark.mllib), three-level or legacy two-level
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from matinee.errors import DataError
from matinee.spark.interop.metadata import visible


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
