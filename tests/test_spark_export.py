"""Factors out of a snapshot, read back by Arrow and by our own import; tests/test_spark_interop_real.py asks Spark."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import Result

from matinee.dataset import Dataset
from matinee.datasets import load
from matinee.datasets.synthetic import synthetic
from matinee.errors import DataError, UsageError
from matinee.live import LiveRatings
from matinee.models.als import ALS
from matinee.models.baselines import Bias
from matinee.models.ease import Ease
from matinee.models.ials import IALS
from matinee.snapshot import Snapshot, Store
from matinee.spark.interop import SparkSettings, export_model, import_model, read_model
from matinee.spark.interop.exporting import spark_ids

DATA = synthetic(120, 50, 2_500, rng=1)
RATER = ALS(rank=4, iterations=3, intervals=False, rng=2)
RANKER = IALS(rank=5, iterations=3, alpha=2.0, reg=0.1)


def published(store: Path, data: Dataset, rater: ALS | Bias = RATER, ranker: IALS | Ease | None = None) -> Snapshot:
    fitted = rater.fit(data.ratings, data.catalog)
    return Store(store).publish(data, fitted, ranker.fit(data.ratings, data.catalog) if ranker else None)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return published(tmp_path_factory.mktemp("store"), DATA, ranker=RANKER)


@pytest.mark.parametrize(("form", "number"), [("spark-mllib", "double"), ("spark-ml", "float")])
def test_export__has_the_columns_of_spark(tmp_path: Path, snapshot: Snapshot, form: str, number: str) -> None:
    export_model(snapshot, form, tmp_path / "out")
    parts = sorted((tmp_path / "out").rglob("*.parquet"))
    assert len(parts) == 2
    for part in parts:
        schema = pq.read_schema(part)
        assert str(schema.field("id")) == "pyarrow.Field<id: int32 not null>"
        assert str(schema.field("features").type) == f"list<element: {number} not null>"


@pytest.mark.parametrize("form", ["spark-mllib", "spark-ml"])
@pytest.mark.parametrize("model", ["als", "ials"])
def test_export__comes_back_as_it_was(tmp_path: Path, snapshot: Snapshot, form: str, model: str) -> None:
    made = export_model(snapshot, form, tmp_path / "out", model=model)
    found = read_model(tmp_path / "out")
    assert (made.model, made.rank, made.users, made.movies) == (model, found.rank, 120, len(found.movies.ids))
    fitted = snapshot.rater if model == "als" else snapshot.ranker
    profiles = fitted.fold_in(DATA.ratings.by_user)  # type: ignore[union-attr]
    X = profiles if model == "ials" else profiles.factors
    np.testing.assert_array_equal(found.users.factors, X)
    kept = DATA.catalog.ids.positions(found.movies.ids.array)
    np.testing.assert_array_equal(found.movies.factors, fitted.movie_factors[kept])  # type: ignore[union-attr]
    assert set(np.flatnonzero(DATA.ratings.movie_counts)) == set(kept)


def test_export__that_is_imported_again_is_known_by_its_ratings(tmp_path: Path, snapshot: Snapshot) -> None:
    export_model(snapshot, "spark-ml", tmp_path / "out", model="ials")
    imported = import_model(tmp_path / "out", tmp_path / "store", ratings=DATA)
    assert (imported.objective.reg, imported.objective.alpha) == (0.1, 2.0)


def test_export__writes_tables_for_everybody_else(tmp_path: Path, snapshot: Snapshot) -> None:
    for form in ("parquet", "arrow"):
        export_model(snapshot, form, tmp_path / form)
    for name, column, ids in (("users", "user", DATA.ratings.users), ("movies", "movie", None)):
        table = pq.read_table(tmp_path / "parquet" / f"{name}.parquet")
        with pa.OSFile(str(tmp_path / "arrow" / f"{name}.arrow")) as file:
            assert pa.ipc.open_file(file).read_all().equals(table)
        assert table.column_names == [column, "features"]
        assert ids is None or table[column].to_pylist() == list(ids)


def test_export__leaves_out_movies_without_factors(tmp_path: Path) -> None:
    keep = np.asarray(DATA.ratings.by_user.indices != 3)
    snapshot = published(tmp_path / "store", Dataset(DATA.ratings.select(keep), DATA.catalog))
    made = export_model(snapshot, "spark-ml", tmp_path / "out")
    found = read_model(tmp_path / "out").movies.ids
    assert DATA.catalog.ids[3] not in found
    assert made.movies == len(found)


def test_export__refuses_models_that_are_no_factors(tmp_path: Path) -> None:
    snapshot = published(tmp_path / "store", DATA, Bias(), Ease(min_ratings=5))
    with pytest.raises(UsageError, match="has bias and ease, and no model of factors alone to export; train with"):
        export_model(snapshot, "spark-ml", tmp_path / "out")
    with pytest.raises(UsageError, match="has bias and ease, and no ials to export"):
        export_model(snapshot, "parquet", tmp_path / "out", model="ials")
    assert not (tmp_path / "out").exists()


def test_export__refuses_a_snapshot_without_people(tmp_path: Path, snapshot: Snapshot) -> None:
    export_model(snapshot, "spark-ml", tmp_path / "model")
    alone = import_model(tmp_path / "model", tmp_path / "store", said=SparkSettings(reg=0.1))
    with pytest.raises(UsageError, match="holds nobody's ratings, so there are no users' factors to export"):
        export_model(alone.snapshot, "spark-ml", tmp_path / "out")


def test_export__refuses_a_folder_that_exists_or_is_elsewhere(tmp_path: Path, snapshot: Snapshot) -> None:
    with pytest.raises(UsageError, match="exists already; name a new folder, or remove this one"):
        export_model(snapshot, "parquet", tmp_path)
    with pytest.raises(UsageError, match="s3://bucket/model is not a folder of this machine; write it here, then copy"):
        export_model(snapshot, "parquet", "s3://bucket/model")
    with pytest.raises(UsageError, match="the format is spark-mllib, spark-ml, parquet, arrow, not 'csv'"):
        export_model(snapshot, "csv", tmp_path / "out")


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (
            "2147483648",
            "user id '2147483648' is beyond 32 bits, and Spark's ALS has no such ids; the formats parquet and",
        ),
        ("-2147483649", "beyond 32 bits"),
        ("99999999999999999999", "beyond 32 bits"),
        ("tt0113277", "user id 'tt0113277' is not a whole number"),
        ("007", "is not a whole number"),
        ("1.0", "is not a whole number"),
    ],
)
def test_spark_ids__names_what_spark_does_not_have(bad: str, why: str) -> None:
    with pytest.raises(DataError, match=why):
        spark_ids(pa.array(["1", bad, "2"]), "user")


def test_spark_ids__are_all_of_32_bits() -> None:
    assert spark_ids(pa.array(["-2147483648", "0", "2147483647"]), "movie").to_pylist() == [-(2**31), 0, 2**31 - 1]


def test_export__leaves_nothing_where_ids_are_not_sparks(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating\n1,tt1,4\n2,tt1,3\n2,tt2,5\n")
    snapshot = published(tmp_path / "store", load(tmp_path / "ratings.csv"))
    with pytest.raises(DataError, match="movie id 'tt1' is not a whole number"):
        export_model(snapshot, "spark-ml", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ratings.csv", "store"]
    assert export_model(snapshot, "parquet", tmp_path / "out").movies == 2


def test_export__is_a_command(tmp_path: Path, snapshot: Snapshot, matinee: Callable[..., Result]) -> None:
    store = snapshot.path.parent.parent
    made = matinee("snapshot", "export", "--format", "spark-ml", "--out", tmp_path / "out", "--store", store, "--json")
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["users"] == 120
    again = matinee("snapshot", "export", "--format", "spark-ml", "--out", tmp_path / "out", "--store", store)
    assert (again.exit_code, again.output.count("\n")) == (2, 1)


def test_export__refuses_a_snapshot_with_people_who_were_forgotten(
    tmp_path: Path, matinee: Callable[..., Result]
) -> None:
    published(tmp_path / "store", DATA)
    with LiveRatings(tmp_path / "store" / "live.sqlite3") as live:
        live.forget(DATA.ratings.users[0])
    made = matinee(
        "snapshot", "export", "--format", "parquet", "--out", tmp_path / "out", "--store", tmp_path / "store"
    )
    assert made.exit_code == 1
    assert "forgotten later, so Matinee does not export it; run `matinee refit`" in made.output
    assert not (tmp_path / "out").exists()
