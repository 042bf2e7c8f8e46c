"""Spark's ALS models in and out of a store, without Spark: only Parquet files and lines of JSON.

what Spark saved  --saved, model-->  SparkModel  --objective-->  reg, alpha
SparkModel, movies, ratings  --dataset-->  snapshot            (importing)
snapshot  -->  users and movies with their factors  -->  what Spark loads   (exporting)
"""

from __future__ import annotations

from matinee.spark.interop.exporting import Exported, export_model
from matinee.spark.interop.importing import Imported, SparkSettings, import_model
from matinee.spark.interop.model import SparkModel, read_model

__all__ = ["Exported", "Imported", "SparkModel", "SparkSettings", "export_model", "import_model", "read_model"]
