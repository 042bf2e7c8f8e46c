from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from matinee import kernels, training
from matinee.batch import batch_recommend
from matinee.dataset import Dataset
from matinee.datasets import load
from matinee.datasets.synthetic import synthetic
from matinee.errors import DataError, EngineError, UsageError
from matinee.models.als import ALS
from matinee.models.bayes import Bayes
from matinee.models.ials import IALS
from matinee.ratings import Ratings, Scale, batch
from matinee.recommender import Filters, Recommender
from matinee.snapshot import Snapshot, Store
from matinee.snapshot.histories import StoredRatings, UncountedIds
from matinee.spark.engine import (
    Cluster,
    Source,
    TrainingData,
    als,
    lists,
    measuring,
    prepare,
    session,
    spark_session,
    train,
)
from matinee.tuning import tune
from matinee.tuning.cluster import tune_on_spark

pytestmark = pytest.mark.slow
pytest.importorskip("pyspark")

CLUSTER = Cluster(
    "local[2]", {"spark.driver.memory": "1g", "spark.sql.shuffle.partitions": "4"}, user_blocks=2, item_blocks=2
)
RATER = ALS(rank=4, iterations=20, reg=0.1)
BIG = 9_000_000_000
"""Added to ids, so that they do not fit in 32 bits."""


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    with spark_session(CLUSTER) as session:
        yield session


def table_of(data: Dataset, user: Callable[[str], Any] = lambda user: f"user {user}") -> pa.Table:
    """Return ratings as a file holds them, in no order."""
    ratings = data.ratings
    table = pa.table(
        {
            "userId": pa.array([user(ratings.users[row]) for row in ratings.by_user.row_of_each()]),
            "movieId": pa.array([ratings.movies[column] for column in ratings.by_user.indices]),
            "rating": ratings.by_user.values,
            "timestamp": ratings.timestamps,
        }
    )
    return table.take(np.random.default_rng(0).permutation(table.num_rows))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ratings of a small world, cut into a part to train on and one to be asked about, and its movies."""
    folder = tmp_path_factory.mktemp("ratings")
    data = synthetic(600, 150, 30_000, rng=3)
    table = table_of(data)
    pa.csv.write_csv(table.slice(0, 24_000), folder / "train.csv")
    pa.csv.write_csv(table.slice(24_000), folder / "test.csv")
    titles = {"movieId": data.catalog.ids.array, "title": data.catalog.table["title"]}
    pa.csv.write_csv(pa.table({**titles, "genres": ["Drama"] * len(data.catalog)}), folder / "titles.csv")
    return folder


def train_locally(file: Path, store: Path, **models: Any) -> Snapshot:
    return training.train(load(file, movies=file.parent / "titles.csv"), store, measure=False, **models)


def train_on_spark(file: Path, store: Path, **models: Any) -> Snapshot:
    source = Source(str(file), movies=str(file.parent / "titles.csv"))
    return train(source, store, cluster=CLUSTER, measure=False, **models)


ENGINES = {"local": train_locally, "spark": train_on_spark}


@pytest.fixture(scope="module", params=ENGINES)
def trained(
    request: pytest.FixtureRequest, spark: Any, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Snapshot:
    """The snapshot that an engine makes of the same file."""
    store = tmp_path_factory.mktemp(request.param)
    ranker = IALS(rank=4, iterations=5, reg=0.1, alpha=2.0)
    return ENGINES[request.param](folder / "train.csv", store, rater=RATER, ranker=ranker)


def rmse(snapshot: Snapshot, test: Path) -> float:
    """Return the error of the stars that are served."""
    pairs = pyarrow.csv.read_csv(test, convert_options=pa.csv.ConvertOptions(column_types={"movieId": pa.string()}))
    movies = snapshot.dataset.catalog.ids.positions(pairs["movieId"])
    users = {user: snapshot.dataset.ratings.get(user) for user in set(pairs["userId"].to_pylist())}
    known = {user: history for user, history in users.items() if history is not None}
    profiles = snapshot.rater.fold_in(batch(list(known.values()), len(snapshot.dataset.catalog)))
    every = snapshot.rater.predict(profiles, np.arange(len(snapshot.dataset.catalog), dtype=np.int32)).stars
    rows = {user: row for row, user in enumerate(known)}
    places = [
        (rows[user], movie, stars)
        for user, movie, stars in zip(pairs["userId"].to_pylist(), movies, pairs["rating"].to_pylist(), strict=True)
        if user in rows
    ]
    return float(np.sqrt(np.mean([(every[row, movie] - stars) ** 2 for row, movie, stars in places])))


class TestBothEngines:
    def test_know_the_same_people_movies_counts_and_means(self, trained: Snapshot, folder: Path) -> None:
        expected, found = load(folder / "train.csv", movies=folder / "titles.csv").ratings, trained.dataset.ratings
        assert list(found.movies) == list(expected.movies)
        assert (found.n, len(found.users), found.scale) == (expected.n, len(expected.users), expected.scale)
        assert found.mean == pytest.approx(expected.mean)
        np.testing.assert_array_equal(found.movie_counts, expected.movie_counts)
        np.testing.assert_allclose(found.movie_means, expected.movie_means, rtol=1e-6)
        day = 1_200_000_000
        np.testing.assert_array_equal(found.movie_counts_since(day), expected.movie_counts_since(day))
        for user in list(expected.users)[:50]:
            one, other = found.get(user), expected.get(user)
            assert one is not None
            assert other is not None
            np.testing.assert_array_equal(one.movies, other.movies)
            np.testing.assert_array_equal(one.stars, other.stars)

    def test_miss_by_as_much(self, trained: Snapshot, folder: Path, tmp_path: Path) -> None:
        reference = train_locally(folder / "train.csv", tmp_path, rater=RATER, ranker=None)
        assert rmse(trained, folder / "test.csv") == pytest.approx(rmse(reference, folder / "test.csv"), abs=0.005)

    def test_promise_intervals_that_hold(self, trained: Snapshot, folder: Path) -> None:
        table = Recommender.of(trained).predict(user="user 7", movies=["1", "2", "3"])
        assert all(
            low < stars <= high for low, stars, high in zip(table["low"], table["stars"], table["high"], strict=True)
        )

    def test_serve_lists_ordered_by_match_and_by_stars(self, trained: Snapshot) -> None:
        served = Recommender.of(trained)
        for order in ("match", "stars"):
            lists = served.recommend(user="user 7", n=10, order=order, min_ratings=5)  # type: ignore[arg-type]
            rated = {served.dataset.catalog.ids[movie] for movie in trained.dataset.ratings.get("user 7").movies}  # type: ignore[union-attr]
            assert len(lists) == 10
            assert not rated & set(lists["movie"])

    def test_recommend_to_everybody(self, trained: Snapshot, tmp_path: Path) -> None:
        rows = batch_recommend(Recommender.of(trained), tmp_path / "lists", n=5)
        lists = pq.read_table(tmp_path / "lists")
        assert rows == lists.num_rows
        mine = lists.filter(pa.compute.equal(lists["user"], "user 7"))
        assert mine["movie"].to_pylist() == Recommender.of(trained).recommend(user="user 7", n=5)["movie"]

    def test_are_verified_and_published_anew(self, trained: Snapshot, tmp_path: Path) -> None:
        again = Recommender.of(trained).publish(tmp_path)
        assert Store(tmp_path).verify().id == again.id
        assert again.dataset.ratings.get("user 7") is not None


def test_tune__chooses_on_the_cluster_as_it_does_here(spark: Any, folder: Path) -> None:
    file, grid = folder / "train.csv", {"rank": [2, 4], "reg": [0.1, 0.9]}
    tuned = tune_on_spark(Source(str(file)), ALS(iterations=20), cluster=CLUSTER, **grid)
    here = tune(load(file), ALS(iterations=20), **grid)
    assert tuned.columns == here.columns
    np.testing.assert_allclose(list(tuned["rmse"]), list(here["rmse"]), atol=0.03)
    assert tuned.best.reg == here.best.reg == 0.1  # type: ignore[attr-defined]
    assert tuned.test == pytest.approx(here.test, abs=0.03)
    assert "random split 6:2:2, seed 0, on Spark; rmse on the validation part" in tuned.note


def test_tune__refuses_what_it_cannot_do_on_a_cluster() -> None:
    with pytest.raises(UsageError, match=r"Spark tunes als, not ials; tune it with the engine local"):
        tune_on_spark(Source("x"), IALS(), rank=[2])
    with pytest.raises(UsageError, match="tuning needs a validation part to choose by, such as 6:2:2, not '7:3'"):
        tune_on_spark(Source("x"), ALS(), "7:3", rank=[2])


def test_lists__made_on_the_cluster_are_those_made_here(spark: Any, folder: Path, tmp_path: Path) -> None:
    ranker = IALS(rank=4, iterations=3, reg=0.1, alpha=2.0)
    served = Recommender.of(train_on_spark(folder / "train.csv", tmp_path / "store", rater=RATER, ranker=ranker))
    filters = Filters.of(min_ratings=20, genre="Drama")
    chosen: dict[str, Any] = {"n": 7, "filters": filters, "order": "match"}
    rows = lists.batch_recommend(served, tmp_path / "cluster", **chosen, cluster=CLUSTER)
    assert rows == batch_recommend(served, tmp_path / "here", **chosen) == 600 * 7
    keys = [("user", "ascending"), ("rank", "ascending")]
    here, there = (pq.read_table(tmp_path / where).sort_by(keys) for where in ("here", "cluster"))
    assert there.cast(here.schema).equals(here)
    with pytest.raises(UsageError, match="exists already"):
        lists.batch_recommend(served, tmp_path / "cluster", **chosen, cluster=CLUSTER)


def test_lists__are_written_to_an_address_and_removed_where_that_fails(
    spark: Any, folder: Path, tmp_path: Path
) -> None:
    made = train_on_spark(folder / "test.csv", tmp_path / "store", rater=RATER, ranker=None)
    served, place = Recommender.of(made), tmp_path / "lists"
    rows = lists.batch_recommend(served, f"file://{place}", n=3, cluster=CLUSTER)
    assert rows == pq.read_table(place).num_rows == 600 * 3
    assert isinstance(made.dataset.ratings, StoredRatings)
    (file,) = Path(made.dataset.ratings.histories.folder).glob("histories-*")
    content = file.read_bytes()
    file.unlink()  # it is linked to others
    file.write_bytes(bytes(len(content) // 2) + content[len(content) // 2 :])
    with pytest.raises(EngineError), spark_session(CLUSTER):
        lists.batch_recommend(served, f"file://{tmp_path / 'failed'}", n=3, cluster=CLUSTER)
    assert not (tmp_path / "failed").exists()


def test_lists__of_a_snapshot_trained_here_are_refused(tmp_path: Path) -> None:
    served = Recommender.fit(synthetic(40, 30, 600, rng=0), RATER, None)
    with pytest.raises(UsageError, match="no histories that a cluster reads; use the engine local"):
        lists.batch_recommend(served, tmp_path / "lists")


@pytest.fixture(scope="module")
def data(spark: Any, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainingData]:
    with prepare(spark, Source(str(folder / "train.csv")), CLUSTER, tmp_path_factory.mktemp("store")) as found:
        yield found


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize("config", [RATER, IALS(rank=4, iterations=5, reg=0.1, alpha=2.0)])
def test_fold_in__equals_sparks_own_user_factors(data: TrainingData, config: Any, nonnegative: bool) -> None:
    config = replace(config, nonnegative=nonnegative)
    fitted = als.fitted(config, data.ratings, CLUSTER)
    table = fitted.userFactors.toArrow()
    spark_factors = dict(zip(table["id"].to_pylist(), table["features"].to_pylist(), strict=True))
    Y = als.movie_factors(fitted, len(data.dataset.catalog))
    model = (
        config.around(Y)
        if config.name == "ials"
        else als.as_als(config, Y, data.kept.ratings, data.dataset.catalog, None)
    )
    numbers = {row["user"]: row["number"] for row in data.kept.numbered().select("user", "number").collect()}
    users = list(numbers)
    profiles = model.fold_in(batch([data.kept.ratings.get(user) for user in users], len(Y)))  # type: ignore[misc]
    ours = profiles.factors if config.name == "als" else profiles
    theirs = np.array([spark_factors[numbers[user]] for user in users])
    off = np.linalg.norm(ours - theirs, axis=1) / np.linalg.norm(theirs, axis=1)
    assert off.max() < 1e-5
    assert (Y.min() >= 0) == nonnegative


def test_sampled__takes_at_most_so_many_people(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(als, "MOST_SAMPLED", 100)
    some = als.sampled(data.kept.ratings)
    assert some.by_user.n_rows == len(some.users) == 100
    first = next(data.kept.ratings.histories.blocks(150)).rows
    np.testing.assert_array_equal(some.by_user.row(99)[0], first.row(99)[0])


def test_errors__are_those_of_the_stars_that_are_served(data: TrainingData) -> None:
    config, catalog = replace(RATER, min_history=30, intervals=False), data.dataset.catalog
    train, held_out = measuring.parts(data.ratings, (0.7, 0.3), 0)
    fitted = als.fitted(config, train, CLUSTER)
    found = data.misses(config, fitted, train, held_out)
    histories, asked = (
        kernels.build_csr(*(np.asarray(part.toArrow()[name]) for name in ("user", "movie", "rating")), 600, 150)[0]
        for part in (train, held_out)
    )
    ratings = Ratings(UncountedIds(600), catalog.ids, histories, data.kept.ratings.scale)
    Y = als.movie_factors(fitted, len(catalog))
    model = config.around(Y, Y.any(axis=1), ratings, catalog)
    profiles = model.fold_in(histories)
    stars = model.predict(profiles, np.arange(len(catalog), dtype=np.int32)).stars
    missed = stars[asked.row_of_each(), asked.indices] - asked.values
    assert 100 < profiles.short.sum() < 500
    assert (found.pairs, found.cold) == (asked.n, 0)
    assert found.rmse == pytest.approx(np.sqrt(np.mean(missed**2)), abs=1e-4)
    assert found.mae == pytest.approx(np.mean(np.abs(missed)), abs=1e-4)


def test_train__measures_on_a_split_and_says_so(
    spark: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "LOOK", 0.01)  # this little data is looked at in no time
    steps: list[tuple[str, int, int | None, float | None]] = []
    source = Source(str(folder / "train.csv"))
    made = train(source, tmp_path, cluster=CLUSTER, rater=RATER, progress=lambda *step: steps.append(step))
    (row,) = made.manifest.metrics["models"]
    assert row["pairs"] + row["cold"] == pytest.approx(0.3 * 24_000, rel=0.05)
    assert row["rmse"] == pytest.approx(rmse(made, folder / "test.csv"), abs=0.03)
    assert "random split 7:3, seed 0, all pairs, on Spark" in made.manifest.metrics["protocol"]
    assert {"Spark: looking at every row", "Spark: training als"} <= {step for step, _, _, _ in steps}
    assert all(0 <= done <= total for _, done, total, _ in steps)


class TestInput:
    def test_of_64_bit_ids_in_parquet(self, spark: Any, tmp_path: Path) -> None:
        table = table_of(synthetic(40, 30, 600, rng=0), lambda user: BIG + int(user))
        pq.write_table(table, tmp_path / "ratings.parquet")
        with prepare(spark, Source(str(tmp_path / "ratings.parquet")), CLUSTER, tmp_path / "store") as found:
            assert found.dataset.ratings.n == 600
            assert found.dataset.ratings.get(str(BIG + 7)) is not None

    def test_keeps_the_latest_of_duplicates_and_without_times_the_last(self, spark: Any, tmp_path: Path) -> None:
        timed, untimed = tmp_path / "timed.csv", tmp_path / "untimed.csv"
        timed.write_text(
            "userId,movieId,rating,timestamp\na,m,1,900000030\na,m,2,900000050\na,m,3,900000040\nb,m,5,900000001\n"
        )
        untimed.write_text("user;movie;stars\na;m;1\na;m;2\na;m;3\nb;m;5\n")
        for file, stars in ((timed, 2.0), (untimed, 3.0)):
            with prepare(spark, Source(str(file)), CLUSTER, tmp_path / "store") as found:
                assert found.dataset.ratings.get("a").stars.tolist() == [stars]  # type: ignore[union-attr]
                assert found.dataset.facts.duplicates == 2
                assert load(file).ratings.get("a").stars.tolist() == [stars]  # type: ignore[union-attr]

    def test_without_a_header_is_read_as_movielens_columns(self, spark: Any, tmp_path: Path) -> None:
        (tmp_path / "u.base").write_text("1\t2\t3\t881250949\n2\t2\t4\t881250950\n")
        assert read(spark, tmp_path / "u.base", tmp_path).n == 2

    @pytest.mark.parametrize(
        ("line", "rule"),
        [
            ("a,m,much,1", "rating much is not a number, in the row of user 'a' and movie 'm'"),
            ("a,m,,1", "rating that is missing is not a number"),
            ("a,m,NaN,1", "rating nan is not a finite number"),
            (",m,3,1", "a user id is missing"),
            ("~a,m,3,1", "user id '~a' begins with ~, which is kept for visitors"),
            ("a,m,3,-5", "a timestamp is missing, unreadable or before 1970"),
            ("a,m,3", "a line has more or fewer fields than there are columns: 'a,m,3'"),
            ("a,m,3,1,2", "a line has more or fewer fields than there are columns: 'a,m,3,1,2'"),
            ("a,m,3.0f,1", "rating 3.0f is not a number"),
            ("a,m,3,1d", "a timestamp is missing, unreadable or before 1970"),
            ("\udcc0,m,3,1", "an id is not printable text in UTF-8"),
            ("a,m,7,1", "7 stars are not on the scale from 0.5 to 5; use `scale='LOW:HIGH'`"),
        ],
    )
    def test_with_a_bad_row_is_refused_or_skipped(self, spark: Any, tmp_path: Path, line: str, rule: str) -> None:
        file = tmp_path / "ratings.csv"
        lines = f"userId,movieId,rating,timestamp\na,m,3,1\n{line}\nb,m,4,2\n"
        file.write_bytes(lines.encode("utf-8", "surrogateescape"))
        with pytest.raises(DataError) as refused:
            read(spark, file, tmp_path, scale=Scale(0.5, 5))
        assert rule in str(refused.value)
        assert "rows as bad as this: 1; or leave bad rows out with `on_bad_rows='skip'`" in str(refused.value)
        with prepare(
            spark, Source(str(file), scale=Scale(0.5, 5), on_bad_rows="skip"), CLUSTER, tmp_path / "s"
        ) as found:
            assert (found.dataset.ratings.n, found.dataset.facts.skipped) == (2, 1)

    def test_beside_its_movies_is_read_on_storage_that_needs_no_name(self, spark: Any, tmp_path: Path) -> None:
        (tmp_path / "ratings.csv").write_text("userId,movieId,rating\na,m,3\n")
        (tmp_path / "movies.csv").write_text("movieId,title,genres\nm,A Film (1999),Drama\n")
        hadoop = spark._jsc.hadoopConfiguration()
        usual = hadoop.get("fs.defaultFS")
        hadoop.set("fs.viewfs.mounttable.here.link./of-the-cluster", f"file://{tmp_path}")
        hadoop.set("fs.defaultFS", "viewfs://here/")
        try:
            with prepare(spark, Source("/of-the-cluster"), CLUSTER, tmp_path / "store") as found:
                assert found.dataset.catalog.table["title"].to_pylist() == ["A Film"]
        finally:
            hadoop.set("fs.defaultFS", usual)

    def test_in_folders_by_a_column_is_read_as_what_it_is(self, spark: Any, tmp_path: Path) -> None:
        for year in (1999, 2001):
            (tmp_path / "data" / f"year={year}").mkdir(parents=True)
            (tmp_path / "data" / f"year={year}" / "0.csv").write_text(f"userId,movieId,rating\na,{year},3\n")
        assert read(spark, tmp_path / "data", tmp_path).n == 2

    def test_called_parquet_by_its_content_alone_is_read_beside_notes(self, spark: Any, tmp_path: Path) -> None:
        table = pa.table({"user": ["a"], "movie": ["m"], "rating": [3.0]})
        (tmp_path / "parts").mkdir()
        (tmp_path / "parts" / "a note.txt").write_text("about this\n")
        for name in ("ratings", "parts/part-0.parquet"):
            pq.write_table(table, tmp_path / name)
        assert read(spark, tmp_path / "ratings", tmp_path).n == 1
        with pytest.raises(EngineError, match=r"a%20note.txt|a note.txt"), spark_session(CLUSTER):
            read(spark, tmp_path / "parts", tmp_path)

    @pytest.mark.parametrize(
        ("name", "content", "rule"),
        [
            (
                "a.parquet",
                {"rating": [[3.0]]},
                "its column rating holds array<double>, which is no rating; name another",
            ),
            (
                "a.parquet",
                {"time": pa.array([1], pa.timestamp("ns"))},
                "times in nanoseconds, which Spark does not read",
            ),
            (
                "a.csv",
                b"userId,USERID,movieId,rating\na,b,m,3\n",
                "has more than one column userId, and Spark does not",
            ),
            ("a", b"\x00\x15\r\x04,rating\n", "a is not text; name a CSV, TSV or Parquet file"),
        ],
    )
    def test_that_spark_cannot_read_is_one_line(
        self, spark: Any, tmp_path: Path, name: str, content: Any, rule: str
    ) -> None:
        if isinstance(content, bytes):
            (tmp_path / name).write_bytes(content)
        else:
            pq.write_table(pa.table({"user": ["a"], "movie": ["m"], "rating": [3.0]} | content), tmp_path / name)
        with pytest.raises((DataError, EngineError), match=rule) as refused, spark_session(CLUSTER):
            read(spark, tmp_path / name, tmp_path)
        assert "\n" not in str(refused.value)

    def test_with_a_part_of_another_type_is_one_line(self, spark: Any, tmp_path: Path) -> None:
        (tmp_path / "parts").mkdir()
        for part, kind in enumerate((pa.int32(), pa.int64())):
            table = pa.table({"user": pa.array([1], kind), "movie": ["m"], "rating": [3.0]})
            pq.write_table(table, tmp_path / "parts" / f"{part}.parquet")
        rule = "parquet has INT.. in its column user, where a file beside it has .*; write all parts alike"
        with pytest.raises(EngineError, match=rule), spark_session(CLUSTER):
            read(spark, tmp_path / "parts", tmp_path)

    def test_in_folders_by_user_keeps_ids_that_differ_as_text_apart(self, spark: Any, tmp_path: Path) -> None:
        users = ("007", "7", "08")
        for user in users:
            (tmp_path / "data" / f"user={user}").mkdir(parents=True)
            pq.write_table(
                pa.table({"movie": ["m"], "rating": [3.0]}), tmp_path / "data" / f"user={user}" / "0.parquet"
            )
        with prepare(spark, Source(str(tmp_path / "data")), CLUSTER, tmp_path / "store") as found:
            assert found.dataset.ratings.n_raters == 3
            assert all(found.dataset.ratings.get(user) is not None for user in users)

    def test_with_numbers_that_are_no_ids_or_times_is_refused_or_skipped(self, spark: Any, tmp_path: Path) -> None:
        users = [1.0, 1.5, float("nan"), 1e30, 2.0, 3.0]
        times = pa.array([1, 1, 1, 1, 2**63 + 5, 1], pa.uint64())
        file = tmp_path / "ratings.parquet"
        pq.write_table(pa.table({"user": users, "movie": [7] * 6, "rating": [3] * 6, "time": times}), file)
        with pytest.raises(
            DataError,
            match=r"a user id is missing, has a fraction, or is a float that lost digits; rows as bad as this: 4",
        ):
            read(spark, file, tmp_path)
        with (
            pytest.raises(DataError, match=r"4 of 6 rows \(66.7%\) are left out.*allow it with `skip_at_most=1`"),
            prepare(spark, Source(str(file), on_bad_rows="skip"), CLUSTER, tmp_path / "s"),
        ):
            pass
        source = Source(str(file), on_bad_rows="skip", skip_at_most=1)
        with prepare(spark, source, CLUSTER, tmp_path / "s") as found:
            assert (found.dataset.ratings.n, found.dataset.facts.skipped) == (2, 4)
            assert [finding.kind for finding in found.dataset.facts.findings] == ["skipped-rows"]
            assert found.dataset.ratings.get("3") is not None

    def test_with_ids_that_a_program_wrote_as_floats_are_the_same_ids(self, spark: Any, tmp_path: Path) -> None:
        file = tmp_path / "ratings.csv"
        file.write_text("userId,movieId,rating\n1.0,31.0,4\n 1,32,3\n007,31,3\nnan,31,3\n9,1e+18,2\n8,2.5,2\n")
        with prepare(spark, Source(str(file), on_bad_rows="skip"), CLUSTER, tmp_path / "s") as found:
            assert (list(found.dataset.ratings.movies), found.dataset.facts.skipped) == (["31", "32"], 3)
            assert found.dataset.ratings.get("1") is not None
            assert found.dataset.ratings.get("7") is None

    def test_in_a_data_frame_of_spark_is_refused_with_a_way_that_collects_nothing(
        self, spark: Any, tmp_path: Path
    ) -> None:
        frame = spark.createDataFrame(
            [("a", "m", 3.0), ("b", "m", 4.0)], "userId string, movieId string, rating double"
        )
        for refused in (load, training.train):
            with pytest.raises(DataError, match=r"a Spark DataFrame; write it with `df.write.parquet.FOLDER.`"):
                refused(frame)
        frame.write.parquet(str(tmp_path / "parts"))
        with prepare(spark, Source(str(tmp_path / "parts")), CLUSTER, tmp_path / "s") as found:
            assert found.dataset.ratings.n == 2

    def test_of_a_run_that_fails_leaves_no_histories_behind(
        self, spark: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        place, written = tmp_path / "histories", []

        def fail(*_: Any) -> None:
            written.extend(place.rglob("*.parquet"))
            raise EngineError("the training failed")

        monkeypatch.setattr(als, "fitted", fail)
        with pytest.raises(EngineError, match="the training failed"):
            train(Source(str(folder / "test.csv")), tmp_path / "store", cluster=CLUSTER, histories=str(place))
        assert written
        assert not place.exists()

    def test_that_is_not_there_is_named(self, spark: Any, tmp_path: Path) -> None:
        (tmp_path / "ratings.csv").write_text("userId,movieId,rating\na,m,3\n")
        (tmp_path / "empty.csv").write_text("")
        with pytest.raises(DataError, match=r"there is no file or folder /nowhere/r.csv that Spark can read"):
            read(spark, Path("/nowhere/r.csv"), tmp_path)
        with pytest.raises(DataError, match=r"has no column 'who' for user: its columns are userId, movieId, rating"):
            read(spark, tmp_path / "ratings.csv", tmp_path, user="who")
        with pytest.raises(DataError, match=r"empty.csv is empty"):
            read(spark, tmp_path / "empty.csv", tmp_path)

    def test_with_a_damaged_part_is_one_line(self, spark: Any, tmp_path: Path) -> None:
        folder = tmp_path / "parts"
        folder.mkdir()
        table = table_of(synthetic(40, 30, 600, rng=0))
        for part in range(2):
            pq.write_table(table, folder / f"{part}.parquet")
        whole = (folder / "1.parquet").read_bytes()
        (folder / "1.parquet").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(EngineError) as failed, spark_session(CLUSTER) as again:
            read(again, folder, tmp_path)
        assert "1.parquet is not a Parquet file" in str(failed.value)
        assert "\n" not in str(failed.value)


def read(spark: Any, path: Path, store: Path, **options: Any) -> StoredRatings:
    with prepare(spark, Source(str(path), **options), CLUSTER, store / "store") as found:
        return found.kept.ratings


def test_checkpoints__are_not_left_behind(spark: Any, folder: Path, tmp_path: Path) -> None:
    cluster = replace(CLUSTER, checkpoint_dir=str(tmp_path / "checkpoints"), checkpoint_interval=2)
    rater = ALS(rank=2, iterations=4, intervals=False)
    train(Source(str(folder / "test.csv")), tmp_path / "store", cluster=cluster, rater=rater, measure=False)
    assert not list((tmp_path / "checkpoints").iterdir())


def test_started__keeps_what_spark_logs_in_json_off_the_console(
    spark: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyspark.sql import functions as F

    logger = logging.getLogger("DataFrameQueryContextLogger")
    monkeypatch.setattr(logger, "handlers", [caplog.handler])
    with pytest.raises(EngineError, match="cannot cast"), spark_session(CLUSTER):
        spark.sql("select array(1) as many").select(F.col("many").cast("float"))
    assert not caplog.records


def test_train__refuses_models_that_spark_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match="Spark trains als and ials, not bayes; choose one of them, or the engine local"
    ):
        train(Source("x"), tmp_path, rater=Bayes())
    with pytest.raises(UsageError, match=r"say which with `IALS.alpha=1.`"):
        train(Source("x"), tmp_path, ranker=IALS())
    with pytest.raises(UsageError, match="ials does not predict stars"):
        train(Source("x"), tmp_path, rater=IALS(alpha=1.0))
    assert not list(tmp_path.iterdir())
