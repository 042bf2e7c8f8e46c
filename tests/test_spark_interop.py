"""Models in the files that Spark writes, here written by Arrow: no Spark is needed to read them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import Result

from matinee.catalog import Catalog
from matinee.dataset import Dataset
from matinee.datasets.synthetic import synthetic
from matinee.errors import DataError, UsageError
from matinee.ids import Ids
from matinee.kernels import Csr
from matinee.models.als import ALS
from matinee.models.ials import IALS
from matinee.models.nonnegative import solve_nonnegative
from matinee.ratings import Ratings, Scale
from matinee.recommender import Recommender
from matinee.spark.interop import SparkModel, SparkSettings, import_model, read_model
from matinee.spark.interop.objective import Objective, estimate_implicit

ML = "org.apache.spark.ml.recommendation.ALSModel"
MLLIB = "org.apache.spark.mllib.recommendation.MatrixFactorizationModel"
PIPELINE = "org.apache.spark.ml.PipelineModel"
INDEXER = "org.apache.spark.ml.feature.StringIndexerModel"
CROSS_VALIDATED = "org.apache.spark.ml.tuning.CrossValidatorModel"
RANK, N_USERS, N_MOVIES = 3, 60, 25
NO_CATALOG: Any = None  # not read


@dataclass(frozen=True)
class Trained:
    X: np.ndarray
    Y: np.ndarray
    dataset: Dataset


def solve(matrix: Csr, Y: np.ndarray, reg: float, alpha: float | None) -> np.ndarray:
    rows = np.zeros((matrix.n_rows, Y.shape[1]))
    for row in range(matrix.n_rows):
        columns, stars = matrix.row(row)
        rated, stars = Y[columns], stars.astype(np.float64)
        if alpha is None:
            A, b, n = rated.T @ rated, rated.T @ stars, len(stars)
        else:
            confidence = alpha * np.abs(stars)
            A = Y.T @ Y + (rated.T * confidence) @ rated
            b, n = rated.T @ np.where(stars > 0, 1 + confidence, 0), int((stars > 0).sum())
        rows[row] = np.linalg.solve(A + reg * n * np.eye(len(A)), b)
    return rows


def train(reg: float = 0.07, alpha: float | None = None, seed: int = 1, lower: float = 0) -> Trained:
    rng = np.random.default_rng(seed)
    seen = rng.random((N_USERS, N_MOVIES)) < 0.5
    user, movie = (axis.astype(np.int32) for axis in np.nonzero(seen))
    tastes = 3 + rng.normal(size=(N_USERS, 2)) @ rng.normal(size=(2, N_MOVIES))
    stars = np.clip(np.round(tastes[seen] * 2) / 2, 0.5, 5).astype(np.float32) - lower
    stars[(user == 5) & (lower > 0)] = -1
    users, movies = (Ids([str(one) for one in range(100, 100 + n)]) for n in (N_USERS, N_MOVIES))
    ratings = Ratings.from_pairs(users, movies, user, movie, stars, Scale(0.5 - lower, 5 - lower, 0.5))
    X = rng.normal(size=(N_USERS, RANK))
    for _ in range(6):
        Y = solve(ratings.by_movie, X, reg, alpha)
        X = solve(ratings.by_user, Y, reg, alpha)
    return Trained(X, Y, Dataset(ratings, Catalog.of(movies, no_titles())))


def no_titles() -> pa.Table:
    return (
        pa.table({name: pa.array([], pa.string()) for name in ("movie", "title")})
        .append_column("year", pa.array([], pa.int16()))
        .append_column("genres", pa.array([], pa.list_(pa.string())))
        .append_column("tags", pa.array([], pa.list_(pa.string())))
        .append_column("imdb", pa.array([], pa.string()))
        .append_column("tmdb", pa.array([], pa.string()))
    )


TRAINED = train()
IDS = np.arange(100, 100 + N_USERS), np.arange(100, 100 + N_MOVIES)


def write_metadata(folder: Path, part: str = "part-00000", **said: object) -> None:
    (folder / "metadata").mkdir(parents=True)
    (folder / "metadata" / part).write_text(json.dumps(said) + "\n", "utf-8")
    (folder / "metadata" / "_SUCCESS").touch()
    (folder / "metadata" / f".{part}.crc").write_bytes(b"crc\0")


def write_side(
    folder: Path, ids: np.ndarray, rows: np.ndarray, kind: pa.DataType, codec: str = "snappy", parts: int = 3
) -> None:
    folder.mkdir(parents=True)
    order = np.random.default_rng(0).permutation(len(ids))
    features = pa.list_(pa.field("element", kind, nullable=False))
    schema = pa.schema([pa.field("id", pa.int32(), nullable=False), pa.field("features", features, nullable=False)])
    for number, chosen in enumerate([order[:0], *np.array_split(order, parts)]):
        table = pa.table([pa.array(ids[chosen], pa.int32()), pa.array(list(rows[chosen]), features)], schema=schema)
        name = f"part-{number:05}-0b3b797c-c000.{codec}.parquet"
        pq.write_table(table, folder / name, compression=codec)
        (folder / f".{name}.crc").write_bytes(b"crc\0")
    (folder / "_SUCCESS").touch()
    (folder / "_committed_123").write_text("{}")


def save_ml(path: Path, trained: Trained = TRAINED, codec: str = "snappy", parts: int = 3, **said: object) -> Path:
    write_metadata(path, **{"class": ML, "sparkVersion": "3.5.1", "uid": "ALS_1", "rank": RANK, **said})
    for folder, ids, rows in zip(("userFactors", "itemFactors"), IDS, (trained.X, trained.Y), strict=True):
        write_side(path / folder, ids, rows, pa.float32(), codec, parts)
    return path


def save_mllib(path: Path, trained: Trained = TRAINED, part: str = "part-00000") -> Path:
    write_metadata(path, part, **{"class": MLLIB, "version": "1.0", "rank": RANK})
    for folder, ids, rows in zip(("user", "product"), IDS, (trained.X, trained.Y), strict=True):
        write_side(path / "data" / folder, ids, rows.astype(np.float32), pa.float64())
    return path


def check_is_trained(path: Path) -> None:
    found = read_model(path)
    assert found.rank == RANK
    assert list(found.users.ids) == list(TRAINED.dataset.ratings.users)
    np.testing.assert_array_equal(found.users.factors, TRAINED.X.astype(np.float32))
    np.testing.assert_array_equal(found.movies.factors, TRAINED.Y.astype(np.float32))


@pytest.mark.parametrize("part", ["part-00000", "part-00000-8815a40f-8fee-4fb8-9cd9-cd7410098e8d-c000.txt"])
def test_read_model__reads_mllib(tmp_path: Path, part: str) -> None:
    check_is_trained(save_mllib(tmp_path / "model", part=part))


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd", "lz4", "brotli"])
def test_read_model__reads_ml_in_any_codec(tmp_path: Path, codec: str) -> None:
    check_is_trained(save_ml(tmp_path / "model", codec=codec))


def test_read_model__needs_no_default_parameters(tmp_path: Path) -> None:
    check_is_trained(save_ml(tmp_path / "model", paramMap={"userCol": "u"}, sparkVersion="2.3.0"))


def save_indexer(path: Path, labels: dict[str, list[str]], *, old: bool) -> None:
    outputs = list(labels)
    params = {"outputCol": outputs[0]} if len(outputs) == 1 else {"outputCols": outputs}
    write_metadata(path, **{"class": INDEXER, "paramMap": params})
    (path / "data").mkdir()
    column = {"labels": [labels[outputs[0]]]} if old else {"labelsArray": [list(labels.values())]}
    pq.write_table(pa.table(column), path / "data" / "part-00000-c000.snappy.parquet")


LABELS = {
    "u": [f"user {one}" for one in reversed(range(100 + N_USERS))],
    "m": [f"film {one}" for one in reversed(range(100 + N_MOVIES))],
}


def save_pipeline(path: Path, *, one_indexer: bool = False, old: bool = False) -> Path:
    uids = ["StringIndexer_z"] if one_indexer else ["StringIndexer_z", "StringIndexer_a"]
    write_metadata(path, **{"class": PIPELINE, "paramMap": {"stageUids": [*uids, "ALS_1"]}})
    stages = path / "stages"
    if one_indexer:
        save_indexer(stages / "0_StringIndexer_z", LABELS, old=old)
    else:
        save_indexer(stages / "0_StringIndexer_z", {"m": LABELS["m"]}, old=old)
        save_indexer(stages / "1_StringIndexer_a", {"u": LABELS["u"]}, old=old)
    save_ml(stages / f"{len(uids)}_ALS_1", paramMap={"userCol": "u", "itemCol": "m"})
    return path


@pytest.mark.parametrize(("one_indexer", "old"), [(True, False), (False, False), (False, True)])
def test_read_model__takes_the_labels_of_indexers_by_their_output_column(
    tmp_path: Path, one_indexer: bool, old: bool
) -> None:
    check_has_labels(read_model(save_pipeline(tmp_path / "model", one_indexer=one_indexer, old=old)))


def test_read_model__takes_the_labels_of_indexers_in_pipelines_of_their_own(tmp_path: Path) -> None:
    path = save_pipeline(tmp_path / "model")
    for stage in list((path / "stages").iterdir()):
        uid = stage.name.partition("_")[2]
        inside = stage.rename(tmp_path / uid)
        write_metadata(stage, **{"class": PIPELINE, "paramMap": {"stageUids": [uid]}})
        (stage / "stages").mkdir()
        inside.rename(stage / "stages" / f"0_{uid}")
    check_has_labels(read_model(path))


def check_has_labels(found: SparkModel) -> None:
    for side, labels, ids, rows in (
        (found.users, LABELS["u"], IDS[0], TRAINED.X),
        (found.movies, LABELS["m"], IDS[1], TRAINED.Y),
    ):
        for index, row in zip(ids, rows, strict=True):
            np.testing.assert_array_equal(side.factors[side.ids.position(labels[index])], row.astype(np.float32))


def save_tuned(
    path: Path,
    metrics: list[float],
    metric: str = "rmse",
    evaluator: str = "org.apache.spark.ml.evaluation.RegressionEvaluator",
    **fixed: object,
) -> Path:
    tried = [
        [{"parent": "ALS_1", "name": name, "value": json.dumps(value)} for name, value in one.items()]
        for one in ({"regParam": 0.01, "rank": 2}, {"regParam": 0.07, "rank": 3}, {"regParam": 0.5, "rank": 3})
    ]
    write_metadata(path, **{"class": CROSS_VALIDATED, "paramMap": {"estimatorParamMaps": tried}, "avgMetrics": metrics})
    als = {"class": "org.apache.spark.ml.recommendation.ALS", "paramMap": fixed, "defaultParamMap": {"alpha": 1.0}}
    write_metadata(path / "estimator", **als)
    write_metadata(path / "evaluator", **{"class": evaluator, "paramMap": {"metricName": metric}})
    save_ml(path / "bestModel")
    return path


def test_read_model__takes_reg_from_the_candidate_that_won(tmp_path: Path) -> None:
    lowest = read_model(save_tuned(tmp_path / "rmse", [0.9, 0.8, 0.85]))
    highest = read_model(save_tuned(tmp_path / "r2", [0.1, 0.3, 0.2], metric="r2", implicitPrefs=False))
    assert (lowest.params["regParam"], lowest.params["alpha"]) == (0.07, 1.0)
    assert (highest.params["regParam"], highest.params["implicitPrefs"]) == (0.07, False)


def test_read_model__takes_the_highest_of_a_ranking(tmp_path: Path) -> None:
    ranking = "org.apache.spark.ml.evaluation.RankingEvaluator"
    found = read_model(save_tuned(tmp_path / "model", [0.1, 0.3, 0.2], "ndcgAtK", ranking))
    assert found.params["regParam"] == 0.07


def test_read_model__does_not_guess_which_candidate_won(tmp_path: Path) -> None:
    without_metrics = save_tuned(tmp_path / "nan", [float("nan")] * 3)
    by_ones_own = save_tuned(tmp_path / "own", [0.1, 0.3, 0.2], "rmse", "__main__.MyEvaluator")
    for path in (without_metrics, by_ones_own):
        assert read_model(path).params["regParam"] is None


# What is imported answers as Spark's model would


def test_import_model__finds_reg_and_folds_users_in_as_trained(tmp_path: Path) -> None:
    ratings = TRAINED.dataset.ratings
    imported = import_model(save_ml(tmp_path / "model"), tmp_path / "store", ratings=TRAINED.dataset)
    assert (imported.objective.reg, imported.objective.alpha) == (0.07, None)
    assert imported.difference is not None
    assert imported.difference < 1e-5
    X = imported.snapshot.rater.fold_in(ratings.by_user).factors
    assert np.all(np.linalg.norm(X - TRAINED.X, axis=1) <= 1e-5 * np.linalg.norm(TRAINED.X, axis=1))


def test_import_model__finds_alpha_and_that_it_is_implicit(tmp_path: Path) -> None:
    trained = train(reg=0.04, alpha=2.5)
    imported = import_model(save_ml(tmp_path / "model", trained), tmp_path / "store", ratings=trained.dataset)
    assert (imported.objective.reg, imported.objective.alpha) == (0.04, 2.5)
    assert imported.snapshot.ranker is not None
    X = imported.snapshot.ranker.fold_in(trained.dataset.ratings.by_user)
    assert np.all(np.linalg.norm(X - trained.X, axis=1) <= 1e-5 * np.linalg.norm(trained.X, axis=1))


def test_import_model__says_how_far_what_it_found_may_be_off(tmp_path: Path) -> None:
    trained = train(reg=0.1234567)
    imported = import_model(save_ml(tmp_path / "model", trained), tmp_path / "store", ratings=trained.dataset)
    assert list(imported.within) == ["reg"]
    assert imported.within["reg"] < 1e-5 * 0.1234567
    assert imported.objective.reg == pytest.approx(0.1234567, abs=2 * imported.within["reg"])
    assert imported.difference is not None
    assert imported.difference < 1e-6
    said = import_model(
        tmp_path / "model", tmp_path / "store", ratings=trained.dataset, said=SparkSettings(reg=0.1234567)
    )
    assert said.within == {}


@pytest.mark.parametrize("seed", range(8))
def test_estimates__are_as_round_as_factors_in_float32_can_tell(seed: int) -> None:
    ratings = synthetic(120, 50, 2_500, rng=seed).ratings
    model = IALS(rank=5, iterations=3, alpha=2.0, reg=0.1, rng=seed).fit(ratings, NO_CATALOG)
    X, Y = model.fold_in(ratings.by_user).astype(float), model.movie_factors.astype(float)
    found = estimate_implicit(X, ratings.by_user, Y, None)
    assert found is not None
    assert [one.value for one in found] == [0.1, 2.0]
    assert all(0 < one.within < 1e-4 * one.value for one in found)


def test_import_model__counts_only_what_is_above_zero_of_an_implicit_model(tmp_path: Path) -> None:
    trained = train(reg=0.04, alpha=2.5, lower=3)
    stars = trained.dataset.ratings.by_user.values
    assert min((stars > 0).sum(), (stars == 0).sum(), (stars < 0).sum()) > 50
    assert not trained.X[5].any()
    imported = import_model(save_ml(tmp_path / "model", trained), tmp_path / "store", ratings=trained.dataset)
    assert (imported.objective.reg, imported.objective.alpha) == (0.04, 2.5)
    assert imported.snapshot.ranker is not None
    X = imported.snapshot.ranker.fold_in(trained.dataset.ratings.by_user)
    assert np.all(np.linalg.norm(X - trained.X, axis=1) <= 1e-5 * np.linalg.norm(trained.X, axis=1))


def test_import_model__finds_reg_though_spark_counted_some_ratings_twice(tmp_path: Path) -> None:
    ratings = TRAINED.dataset.ratings
    X, twice = TRAINED.X.copy(), slice(0, N_USERS, 4)
    for user in range(N_USERS)[twice]:
        columns, stars = ratings.by_user.row(user)
        Y, r = (np.concatenate([part, part[:3]]) for part in (TRAINED.Y[columns], stars.astype(np.float64)))
        X[user] = np.linalg.solve(Y.T @ Y + 0.07 * len(r) * np.eye(RANK), Y.T @ r)
    assert not np.allclose(X[twice], TRAINED.X[twice], rtol=1e-3)
    path = save_ml(tmp_path / "model", Trained(X, TRAINED.Y, TRAINED.dataset))
    imported = import_model(path, tmp_path / "store", ratings=TRAINED.dataset)
    assert imported.objective.reg == 0.07
    assert imported.differing == len(X[twice]) / N_USERS


@pytest.mark.parametrize("alpha", [None, 2.5])
def test_import_model__sees_that_a_model_is_nonnegative(tmp_path: Path, alpha: float | None) -> None:
    ratings = TRAINED.dataset.ratings
    X = np.random.default_rng(0).random((N_USERS, RANK)).astype(np.float32)
    for _ in range(4):
        Y = solve_nonnegative(ratings.by_movie, X, 0.07 * ratings.by_movie.counts, A0=gram_of(X, alpha), alpha=alpha)
        X = solve_nonnegative(ratings.by_user, Y, 0.07 * ratings.by_user.counts, A0=gram_of(Y, alpha), alpha=alpha)
    assert (X == 0).any()
    path = save_ml(tmp_path / "model", Trained(X, Y, TRAINED.dataset))
    imported = import_model(path, tmp_path / "store", ratings=TRAINED.dataset)
    assert imported.objective == Objective(0.07, alpha, True)
    assert imported.difference is not None
    assert imported.difference < 1e-5


def gram_of(Y: np.ndarray, alpha: float | None) -> np.ndarray | None:
    return None if alpha is None else Y.astype(np.float64).T @ Y


def test_import_model__finds_reg_though_some_users_rated_more_since(tmp_path: Path) -> None:
    ratings = TRAINED.dataset.ratings
    keep = np.ones(ratings.n, bool)
    keep[: ratings.n // 3 : 2] = False
    fewer = Dataset(ratings.select(keep), TRAINED.dataset.catalog)
    assert import_model(save_ml(tmp_path / "model"), tmp_path / "store", ratings=fewer).objective.reg == 0.07


def test_import_model__without_ratings_answers_visitors(tmp_path: Path) -> None:
    movies = tmp_path / "movies.csv"
    movies.write_text("movieId,title,genres\n100,Heat (1995),Crime\n7777,Nowhere (2000),Drama\n")
    imported = import_model(
        save_ml(tmp_path / "model"), tmp_path / "store", movies=movies, said=SparkSettings(reg=0.07)
    )
    recommender = Recommender.of(imported.snapshot)
    history = TRAINED.dataset.ratings.history(0)
    given = {f"{100 + movie}": float(stars) for movie, stars in zip(history.movies, history.stars, strict=True)}
    answer = recommender.recommend(given, n=N_MOVIES)
    unrated = np.setdiff1d(np.arange(N_MOVIES), history.movies)
    stars = {f"{100 + movie}": np.clip(TRAINED.X[0] @ TRAINED.Y[movie], 0.5, 5) for movie in unrated}
    assert dict(zip(answer["movie"], answer["stars"], strict=True)) == pytest.approx(stars, abs=1e-4)
    assert recommender.dataset.catalog.title(0) == "Heat (1995)"
    assert len(recommender.dataset.catalog) == N_MOVIES
    assert len(recommender.recommend({}, n=5)) == 5


def test_import_model__counts_ratings_of_movies_whose_factors_are_zero(tmp_path: Path) -> None:
    zero = TRAINED.Y.copy()
    zero[4] = 0
    X = solve(TRAINED.dataset.ratings.by_user, zero, 0.07, None)
    path = save_ml(tmp_path / "model", Trained(X, zero, TRAINED.dataset))
    imported = import_model(path, tmp_path / "store", ratings=TRAINED.dataset)
    assert imported.difference is not None
    assert imported.difference < 1e-5


def test_import_model__takes_what_a_tuned_model_knows(tmp_path: Path) -> None:
    imported = import_model(save_tuned(tmp_path / "model", [0.9, 0.8, 0.85]), tmp_path / "store")
    assert (imported.objective.reg, imported.objective.alpha) == (0.07, None)


# Bad input: one clear line


def test_read_model__names_what_is_not_a_model(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no folder .*nowhere"):
        read_model(tmp_path / "nowhere")
    with pytest.raises(DataError, match="not a saved Spark model: it has no folder metadata"):
        read_model(tmp_path)
    with pytest.raises(DataError, match="hdfs://cluster/model is not on this machine; copy"):
        read_model("hdfs://cluster/model")
    write_metadata(tmp_path / "kmeans", **{"class": "org.apache.spark.ml.clustering.KMeansModel"})
    with pytest.raises(DataError, match="holds a KMeansModel, not ALS"):
        read_model(tmp_path / "kmeans")
    (tmp_path / "odd" / "metadata").mkdir(parents=True)
    (tmp_path / "odd" / "metadata" / "part-00000").write_text("not JSON")
    with pytest.raises(DataError, match="holds no metadata of Spark's"):
        read_model(tmp_path / "odd")


def test_read_model__names_a_damaged_part(tmp_path: Path) -> None:
    path = save_ml(tmp_path / "model")
    part = sorted((path / "itemFactors").glob("part-00002*"))[0]
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(DataError, match=rf"{part.name} is not a complete Parquet file .*; copy or save"):
        read_model(path)
    part.write_bytes(b"")
    with pytest.raises(DataError, match=rf"{part.name} is not a complete Parquet file"):
        read_model(path)


def test_read_model__names_a_part_whose_pages_fail_their_checksums(tmp_path: Path) -> None:
    path = save_ml(tmp_path / "model")
    part = sorted((path / "itemFactors").glob("part-00002*"))[0]
    pq.write_table(pq.read_table(part), part, write_page_checksum=True, use_dictionary=False, compression="none")
    whole = bytearray(part.read_bytes())
    at = whole.index(TRAINED.Y.astype(np.float32)[pq.read_table(part)["id"][0].as_py() - 100].tobytes())
    whole[at] ^= 1
    part.write_bytes(whole)
    with pytest.raises(DataError, match=rf"{part.name} is not a complete Parquet file .*CRC"):
        read_model(path)


def test_read_model__names_a_missing_side(tmp_path: Path) -> None:
    path = save_ml(tmp_path / "model")
    (path / "itemFactors").rename(tmp_path / "gone")
    with pytest.raises(DataError, match="itemFactors is missing"):
        read_model(path)
    (path / "itemFactors").mkdir()
    with pytest.raises(DataError, match="itemFactors holds no factors: 0 part files"):
        read_model(path)


def rewritten(path: Path, **columns: pa.Array) -> Path:
    for part in (path / "userFactors").glob("part-*"):
        part.unlink()
    pq.write_table(pa.table(columns), path / "userFactors" / "part-00000.parquet")
    return path


FLOATS = pa.list_(pa.float32())


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"id": pa.array([1, 2]), "features": pa.array([[1, 2, 3], [1, 2]], FLOATS)}, "id 2 has 2 factors.*rank 3"),
        ({"id": pa.array([1, 1]), "features": pa.array([[1, 2, 3]] * 2, FLOATS)}, "the id 1 is there twice"),
        ({"id": pa.array([7]), "features": pa.array([[1, np.nan, 3]], FLOATS)}, "id 7 is not a finite number"),
        ({"id": pa.array([7]), "features": pa.array([[1, None, 3]], FLOATS)}, "id 7 is not a finite number"),
        ({"id": pa.array([7]), "features": pa.array([None], FLOATS)}, "a row without id or features"),
        ({"id": pa.array([], pa.int32()), "features": pa.array([], FLOATS)}, "holds no factors: 1 part file"),
        ({"id": pa.array([7])}, "has no columns id .* and features .*: id int64"),
        ({"id": pa.array(["7"]), "features": pa.array([[1, 2, 3]], FLOATS)}, "has no columns id .integer."),
    ],
)
def test_read_model__names_the_rule_that_factors_break(tmp_path: Path, columns: dict[str, pa.Array], rule: str) -> None:
    with pytest.raises(DataError, match=rule):
        read_model(rewritten(save_ml(tmp_path / "model"), **columns))


def test_read_model__names_what_a_pipeline_lacks(tmp_path: Path) -> None:
    path = save_pipeline(tmp_path / "model")
    (path / "stages" / "2_ALS_1").rename(tmp_path / "gone")
    with pytest.raises(DataError, match="stages lacks stages"):
        read_model(path)
    write_metadata(tmp_path / "none", **{"class": PIPELINE, "paramMap": {"stageUids": []}})
    (tmp_path / "none" / "stages").mkdir()
    with pytest.raises(DataError, match="needs one ALS model among its stages, which are nothing"):
        read_model(tmp_path / "none")


def test_import_model__asks_for_what_nothing_tells(tmp_path: Path) -> None:
    path, store = save_ml(tmp_path / "model"), tmp_path / "store"
    with pytest.raises(UsageError, match="does not tell its regParam; give it as `reg=X`"):
        import_model(path, store)
    with pytest.raises(UsageError, match="does not tell its alpha; give it as `alpha=X`"):
        import_model(path, store, said=SparkSettings(reg=0.1, implicit=True))
    with pytest.raises(UsageError, match="reg is a number above 0, not -1"):
        SparkSettings(reg=-1)
    with pytest.raises(UsageError, match="some factors are negative, so the model was not trained as nonnegative"):
        import_model(path, store, said=SparkSettings(reg=0.1, nonnegative=True))
    with pytest.raises(UsageError, match=r"off the scale 50:100; give `scale='LOW:HIGH'`, or `implicit=True`"):
        import_model(path, store, said=SparkSettings(reg=0.1), scale=Scale(50, 100))
    assert not store.exists()


def test_import_model__refuses_ratings_and_movies_of_another_model(tmp_path: Path) -> None:
    path, store = save_ml(tmp_path / "model"), tmp_path / "store"
    other = train(seed=2)
    with pytest.raises(DataError, match="the ratings do not tell how this model was trained"):
        import_model(path, store, ratings=other.dataset)
    movies = tmp_path / "movies.csv"
    movies.write_text("movieId,title,genres\n1,Heat (1995),Crime\n")
    with pytest.raises(DataError, match="no movie in common: ids such as '1' and '100'; if a StringIndexer"):
        import_model(path, store, movies=movies, said=SparkSettings(reg=0.1))


def test_import_spark__is_a_command(tmp_path: Path, matinee: Callable[..., Result]) -> None:
    path, store = save_ml(tmp_path / "model"), tmp_path / "store"
    ratings = TRAINED.dataset.ratings
    lines = [
        f"{ratings.users[user]},{ratings.movies[movie]},{stars}"
        for user in range(N_USERS)
        for movie, stars in zip(*ratings.by_user.row(user), strict=True)
    ]
    (tmp_path / "ratings.csv").write_text("\n".join(["userId,movieId,rating", *lines]))
    made = matinee("snapshot", "import-spark", path, "--ratings", tmp_path / "ratings.csv", "--store", store)
    assert made.exit_code == 0, made.output
    assert "explicit, reg 0.07" in made.output
    assert re.search(r"found from the ratings +reg to within \de-07", made.output)
    assert "do not fit" not in made.output
    assert "(median; 0.0% by more than 0.001)" in made.output
    said = ("--ratings", tmp_path / "ratings.csv", "--reg", "0.7", "--store", store)
    wrong = matinee("snapshot", "import-spark", path, *said)
    assert "the ratings do not fit a model that is explicit, reg 0.7: its users, refitted, differ" in wrong.output
    assert "ALSModel of Spark 3.5.1" in made.output
    listed = matinee("recommend", "--user", "100", "--store", store, "-n", "3", "--min-ratings", "1", "--json")
    assert len(json.loads(listed.stdout)["rows"]) == 3
    missing = matinee("snapshot", "import-spark", tmp_path / "nowhere", "--store", store)
    assert missing.exit_code == 1
    assert missing.output.count("\n") == 1


def test_import_spark__remarks_on_users_of_whom_spark_counted_more(
    tmp_path: Path, matinee: Callable[..., Result]
) -> None:
    ratings, X = TRAINED.dataset.ratings, TRAINED.X.copy()
    lines = [
        f"{ratings.users[user]},{ratings.movies[movie]},{stars}"
        for user in range(N_USERS)
        for movie, stars in zip(*ratings.by_user.row(user), strict=True)
    ]
    (columns, stars) = ratings.by_user.row(0)
    Y, r = np.concatenate([TRAINED.Y[columns]] * 2)[:-1], np.concatenate([stars, stars])[:-1].astype(np.float64)
    X[0] = np.linalg.solve(Y.T @ Y + 0.07 * len(r) * np.eye(RANK), Y.T @ r)
    (tmp_path / "ratings.csv").write_text("\n".join(["userId,movieId,rating", *lines, *lines[: len(columns) - 1]]))
    path = save_ml(tmp_path / "model", Trained(X, TRAINED.Y, TRAINED.dataset))
    made = matinee("snapshot", "import-spark", path, "--ratings", tmp_path / "ratings.csv", "--store", tmp_path / "s")
    assert made.exit_code == 0, made.output
    assert (
        f"{1 / N_USERS:.1%} of the users differ from Spark's: {len(columns) - 1} ratings repeat a user and movie"
        in made.output
    )


def test_batch_recommend__remarks_that_a_model_without_ratings_has_nobody(
    tmp_path: Path, matinee: Callable[..., Result]
) -> None:
    store = tmp_path / "store"
    import_model(save_ml(tmp_path / "model"), store, said=SparkSettings(reg=0.07))
    made = matinee("batch-recommend", "--store", store, "--out", tmp_path / "lists")
    assert made.exit_code == 0, made.output
    assert "holds no ratings, so it has no users to make lists for" in made.output


def test_als__keeps_which_movies_were_rated(tmp_path: Path) -> None:
    ratings = TRAINED.dataset.ratings
    model = ALS(rank=2, iterations=2, intervals=False).fit(ratings, TRAINED.dataset.catalog)
    np.testing.assert_array_equal(model.config.load(model.arrays()).rated, ratings.movie_counts > 0)
