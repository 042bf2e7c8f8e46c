"""Spark's ALS models in and out of a store, without Spark: only Parquet files and lines of JSON.

what Spark saved  --metadata, factors, tuned-->  SparkModel  --objective-->  reg, alpha
SparkModel, movies, ratings  --data, served-->  snapshot                                  (importing)
"""

from __future__ import annotations

from matinee.spark.interop.importing import Imported, Said, import_model
from matinee.spark.interop.model import SparkModel, read_model

__all__ = ["Imported", "Said", "SparkModel", "import_model", "read_model"]
