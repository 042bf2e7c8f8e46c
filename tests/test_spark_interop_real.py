"""Models that Spark itself saves and loads; slow, for Spark takes its time."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from matinee.dataset import Dataset
from matinee.datasets import load
from matinee.datasets.synthetic import synthetic
from matinee.ids import Ids
from matinee.models.als import ALS, AlsModel
from matinee.models.ials import IALS
from matinee.ratings import Ratings
from matinee.recommender import Recommender
from matinee.snapshot import Snapshot, Store
from matinee.spark.interop import Imported, export_model, import_model, read_model
from matinee.spark.interop.objective import Objective

# pyspark leaves the thread pool of a tuning, and at its end its sockets, to the garbage collector
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]
pytest.importorskip("pyspark")

CONF = {
    "spark.driver.memory": "1g",
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "2",
    "spark.ui.showConsoleProgress": "false",
}
EXACT = 1e-5


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pyspark.sql import SparkSession

        builder = SparkSession.builder.master("local[2]")
        for name, value in CONF.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        yield session
        session.stop()
        gc.collect()  # the thread pool of a tuning ends here, not when pytest looks for what was left behind


@pytest.fixture(scope="module")
def data(spark: Any) -> Dataset:
    return synthetic(200, 60, 5_000, rng=3)


@pytest.fixture(scope="module")
def frame(spark: Any, data: Dataset) -> Any:
    """Return the ratings as Spark's data frame, in four partitions."""
    ratings = data.ratings
    rows = zip(
        (int(ratings.users[user]) for user in ratings.by_user.row_of_each()),
        (int(ratings.movies[movie]) for movie in ratings.by_user.indices),
        ratings.by_user.values.tolist(),
        strict=True,
    )
    return spark.createDataFrame(list(rows), "user int, item int, rating double").repartition(4).cache()


def als(**params: Any) -> Any:
    from pyspark.ml.recommendation import ALS

    return ALS(**{"rank": 6, "maxIter": 4, "regParam": 0.07, "seed": 1, "numUserBlocks": 3, **params})


def saved(model: Any, path: Path, **options: str) -> Path:
    writer = model.write()
    for name, value in options.items():
        writer = writer.option(name, value)
    writer.save(str(path))
    return path


def check_folds_in_as_spark(imported: Imported, path: Path, data: Dataset) -> None:
    """Every user, folded in from their ratings, has the factors that Spark stored, to 1e-5 norm-wise."""
    stored = read_model(path).users
    snapshot = imported.snapshot
    ratings = snapshot.dataset.ratings
    profiles = (snapshot.ranker or snapshot.rater).fold_in(ratings.by_user)
    X = profiles.factors if isinstance(snapshot.rater, AlsModel) else profiles
    expected = stored.factors[stored.ids.positions(ratings.users.array)]
    differences = np.linalg.norm(X - expected, axis=1)
    assert len(X) == len(data.ratings.users)
    assert np.all(differences <= EXACT * np.linalg.norm(expected, axis=1))


@pytest.mark.parametrize(
    ("params", "objective"),
    [
        ({}, Objective(0.07)),
        ({"implicitPrefs": True, "alpha": 3.0}, Objective(0.07, 3.0)),
        ({"nonnegative": True}, Objective(0.07, None, True)),
        ({"nonnegative": True, "implicitPrefs": True, "alpha": 3.0}, Objective(0.07, 3.0, True)),
    ],
)
def test_import_model__folds_users_of_ml_in_as_spark(
    frame: Any, data: Dataset, tmp_path: Path, params: dict[str, Any], objective: Objective
) -> None:
    path = saved(als(**params).fit(frame), tmp_path / "model")
    imported = import_model(path, tmp_path / "store", ratings=data)
    assert imported.objective == objective
    check_folds_in_as_spark(imported, path, data)


def test_import_model__folds_users_of_mllib_in_as_spark(spark: Any, frame: Any, data: Dataset, tmp_path: Path) -> None:
    from pyspark.mllib.recommendation import ALS

    path = tmp_path / "model"
    model = ALS.train(frame.rdd.map(tuple), 6, 4, 0.07, seed=1)
    model.save(spark.sparkContext, str(path))
    imported = import_model(path, tmp_path / "store", ratings=data)
    assert imported.objective == Objective(0.07)
    check_folds_in_as_spark(imported, path, data)
    rated = set(data.ratings.history(0).movies.tolist())
    unrated = [one for one in range(len(data.ratings.movies)) if one not in rated and data.ratings.movie_counts[one]]
    asked = [data.ratings.movies[one] for one in unrated[:5]]
    user = data.ratings.users[0]
    predicted = Recommender.of(imported.snapshot).predict(user=user, movies=asked)["stars"]
    by_spark = [np.clip(model.predict(int(user), int(movie)), 0.5, 5) for movie in asked]
    np.testing.assert_allclose(predicted, by_spark, atol=1e-4)


@pytest.mark.parametrize("codec", ["none", "gzip", "lz4", "zstd"])
def test_read_model__reads_spark_files_in_any_codec(spark: Any, frame: Any, tmp_path: Path, codec: str) -> None:
    model = als(maxIter=1).fit(frame)
    spark.conf.set("spark.sql.parquet.compression.codec", codec)
    try:
        check_is(model, read_model(saved(model, tmp_path / "model")))
    finally:
        spark.conf.unset("spark.sql.parquet.compression.codec")


def test_read_model__reads_the_lists_of_legacy_writers(spark: Any, frame: Any, tmp_path: Path) -> None:
    model = als(maxIter=1).fit(frame)
    spark.conf.set("spark.sql.parquet.writeLegacyFormat", "true")
    try:
        check_is(model, read_model(saved(model, tmp_path / "model")))
    finally:
        spark.conf.unset("spark.sql.parquet.writeLegacyFormat")


def check_is(model: Any, found: Any) -> None:
    for side, frame in ((found.users, model.userFactors), (found.movies, model.itemFactors)):
        rows = {str(row["id"]): row["features"] for row in frame.collect()}
        assert sorted(rows) == sorted(side.ids)
        np.testing.assert_array_equal(side.factors, [rows[one] for one in side.ids])


def test_import_model__takes_ids_from_a_pipeline_and_reg_from_its_tuning(
    spark: Any, frame: Any, data: Dataset, tmp_path: Path
) -> None:
    from pyspark.ml import Pipeline
    from pyspark.ml.evaluation import RegressionEvaluator
    from pyspark.ml.feature import StringIndexer
    from pyspark.ml.tuning import ParamGridBuilder, TrainValidationSplit

    factorization = als(userCol="u", itemCol="m", coldStartStrategy="drop", nonnegative=False)
    indexer = StringIndexer(inputCols=["item", "user"], outputCols=["m", "u"], handleInvalid="keep")
    grid = ParamGridBuilder().addGrid(factorization.regParam, [0.05, 9.0]).build()
    tuning = TrainValidationSplit(
        estimator=Pipeline(stages=[indexer, factorization]),
        estimatorParamMaps=grid,
        evaluator=RegressionEvaluator(labelCol="rating"),
    )
    path = saved(tuning.fit(frame), tmp_path / "model")
    without = import_model(path, tmp_path / "visitors")
    assert without.objective == Objective(0.05)
    imported = import_model(path, tmp_path / "store", ratings=data)
    assert imported.objective == Objective(0.05)
    check_folds_in_as_spark(imported, path, data)


def test_import_model__takes_string_ids_from_the_indexers_of_a_cross_validation(
    spark: Any, frame: Any, data: Dataset, tmp_path: Path
) -> None:
    from pyspark.ml import Pipeline
    from pyspark.ml.evaluation import RegressionEvaluator
    from pyspark.ml.feature import StringIndexer
    from pyspark.ml.tuning import CrossValidator, ParamGridBuilder

    named = frame.selectExpr("concat('user ', user) AS who", "concat('film ', item) AS what", "rating")
    factorization = als(userCol="u", itemCol="m", coldStartStrategy="drop")
    stages = [  # a rare movie may be missing in a fold
        StringIndexer(inputCol=column, outputCol=index, handleInvalid="keep")
        for column, index in (("what", "m"), ("who", "u"))
    ]
    tuning = CrossValidator(
        estimator=Pipeline(stages=[*stages, factorization]),
        estimatorParamMaps=ParamGridBuilder().addGrid(factorization.regParam, [9.0, 0.05]).build(),
        evaluator=RegressionEvaluator(labelCol="rating", metricName="mae"),
        numFolds=2,
    )
    path = saved(tuning.fit(named), tmp_path / "model")
    rows = [row.asDict() for row in named.collect()]
    table = pa.Table.from_pylist(rows)
    ratings = load(table, user="who", movie="what", rating="rating")
    imported = import_model(path, tmp_path / "store", ratings=ratings)
    assert imported.objective == Objective(0.05)
    assert imported.snapshot.dataset.catalog.ids[0].startswith("film ")
    check_folds_in_as_spark(imported, path, ratings)


@pytest.fixture(scope="module")
def published(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    rater = ALS(rank=5, iterations=3, intervals=False).fit(data.ratings, data.catalog)
    ranker = IALS(rank=4, iterations=3, alpha=2.0, nonnegative=True).fit(data.ratings, data.catalog)
    return Store(tmp_path_factory.mktemp("store")).publish(data, rater, ranker)


def scores_of(published: Snapshot, model: str) -> np.ndarray:
    fitted = published.rater if model == "als" else published.ranker
    ratings = published.dataset.ratings
    return np.asarray(fitted.scores(fitted.fold_in(ratings.by_user)))  # type: ignore[union-attr]


@pytest.mark.parametrize("model", ["als", "ials"])
def test_export__to_ml_predicts_in_spark_as_here(
    spark: Any, frame: Any, published: Snapshot, tmp_path: Path, model: str
) -> None:
    from pyspark.ml.recommendation import ALSModel

    export_model(published, "spark-ml", tmp_path / "model", model=model)
    loaded = ALSModel.load(str(tmp_path / "model"))
    check_schema(spark, tmp_path / "model" / "userFactors", "float")
    ratings, scores = published.dataset.ratings, scores_of(published, model)
    rows = loaded.transform(frame).collect()
    users, movies = (side.positions([str(row[name]) for row in rows]) for side, name in sides(ratings))
    assert len(rows) == ratings.n
    np.testing.assert_allclose([row["prediction"] for row in rows], scores[users, movies], atol=1e-5)
    first = loaded.recommendForAllUsers(3).orderBy("user").first()
    listed = [str(one["item"]) for one in first["recommendations"]]
    row = np.where(ratings.movie_counts > 0, scores[ratings.users.position(str(first["user"]))], -np.inf)
    best = np.argsort(-row, kind="stable")[:3]
    assert listed == [ratings.movies[movie] for movie in best]
    loaded.write().save(str(tmp_path / "again"))
    np.testing.assert_array_equal(
        read_model(tmp_path / "again").users.factors, read_model(tmp_path / "model").users.factors
    )


@pytest.mark.parametrize("model", ["als", "ials"])
def test_export__to_mllib_predicts_in_spark_as_here(
    spark: Any, published: Snapshot, tmp_path: Path, model: str
) -> None:
    from pyspark.mllib.recommendation import MatrixFactorizationModel

    export_model(published, "spark-mllib", tmp_path / "model", model=model)
    loaded = MatrixFactorizationModel.load(spark.sparkContext, str(tmp_path / "model"))
    check_schema(spark, tmp_path / "model" / "data" / "product", "double")
    ratings, scores = published.dataset.ratings, scores_of(published, model)
    assert loaded.rank == (5 if model == "als" else 4)
    for user, movie in ((0, 3), (7, 1), (150, 20)):
        found = loaded.predict(int(ratings.users[user]), int(ratings.movies[movie]))
        assert found == pytest.approx(scores[user, movie], abs=1e-5)
    best = loaded.recommendProducts(int(ratings.users[5]), 1)[0]
    row = np.where(ratings.movie_counts > 0, scores[5], -np.inf)
    assert (str(best.product), best.rating) == (ratings.movies[int(row.argmax())], pytest.approx(row.max(), abs=1e-5))


def sides(ratings: Ratings) -> list[tuple[Ids, str]]:
    return [(ratings.users, "user"), (ratings.movies, "item")]


def check_schema(spark: Any, folder: Path, number: str) -> None:
    schema = spark.read.parquet(str(folder)).schema
    assert [(field.name, field.dataType.simpleString()) for field in schema] == [
        ("id", "int"),
        ("features", f"array<{number}>"),
    ]
