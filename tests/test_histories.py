from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import Result

from matinee.dataset import Dataset
from matinee.datasets.synthetic import synthetic
from matinee.errors import ModelError, StoreError
from matinee.models.als import ALS
from matinee.ratings import Totals
from matinee.recommender import Recommender
from matinee.snapshot import Store
from matinee.snapshot.histories import HistoryFiles, StoredRatings

DATA = synthetic(60, 40, 1_500, rng=0)
PARTS = 4


def written(folder: Path, data: Dataset = DATA, row_group: int = 5) -> StoredRatings:
    """Write histories as a cluster does, and return the ratings that they are the rows of."""
    ratings, files = data.ratings, {}
    people: dict[int, list[dict[str, object]]] = {}
    for position, user in enumerate(ratings.users):
        start, stop = ratings.by_user.indptr[position : position + 2]
        columns = {"movies": ratings.by_user.indices, "stars": ratings.by_user.values, "times": ratings.timestamps}
        row = {"user": user, **{name: values[start:stop] for name, values in columns.items() if values is not None}}
        people.setdefault(zlib.crc32(user.encode()) % PARTS, []).append(row)
    for part, rows in people.items():
        files[part] = f"part={part}/one.parquet"
        (folder / f"part={part}").mkdir(parents=True)
        table = pa.Table.from_pylist(rows)
        types = {"movies": pa.list_(pa.int32()), "stars": pa.list_(pa.float32()), "times": pa.list_(pa.int64())}
        table = table.cast(pa.schema([(name, types.get(name, pa.string())) for name in table.column_names]))
        pq.write_table(table, folder / files[part], row_group_size=row_group)
    histories = HistoryFiles(str(folder), PARTS, files, len(ratings.users), ratings.timestamps is not None)
    means = ratings.movie_means
    return StoredRatings.of(histories, ratings.movies, ratings.scale, Totals(ratings.mean, ratings.movie_counts, means))


@pytest.fixture
def stored(tmp_path: Path) -> StoredRatings:
    return written(tmp_path / "histories")


def test_histories__give_everybody_their_own_ratings(stored: StoredRatings) -> None:
    for user in DATA.ratings.users:
        found, expected = stored.get(user), DATA.ratings.get(user)
        assert found is not None
        assert expected is not None
        np.testing.assert_array_equal(found.movies, expected.movies)
        np.testing.assert_array_equal(found.stars, expected.stars)
    assert [stored.get(user) for user in ("0", "999", "", "zzz", "\udc80")] == [None] * 5


def test_histories__of_all_people_are_the_whole_matrix(stored: StoredRatings) -> None:
    blocks = list(stored.histories.blocks(len(DATA.catalog)))
    assert sorted(user for block in blocks for user in block.users.to_pylist()) == sorted(DATA.ratings.users)
    for block in blocks:
        expected = DATA.ratings.by_user.take(DATA.ratings.users.positions(block.users))
        np.testing.assert_array_equal(block.rows.indices, expected.indices)
        np.testing.assert_array_equal(block.rows.indptr, expected.indptr)


def test_stored_ratings__know_what_can_be_known_without_their_rows(stored: StoredRatings) -> None:
    assert (stored.n, len(stored.users), stored.n_raters) == (1_500, 60, 60)
    np.testing.assert_allclose(stored.movie_sums, DATA.ratings.movie_sums, rtol=1e-6)
    day = int(np.median(DATA.ratings.timestamps))  # type: ignore[arg-type]
    np.testing.assert_array_equal(stored.movie_counts_since(day), DATA.ratings.movie_counts_since(day))
    for found, expected in zip(stored.stars_given(), DATA.ratings.stars_given(), strict=True):
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(
        ModelError, match=r"files they came from with the engine spark, or fit them anew with `refit\(store, live\)`"
    ):
        _ = stored.by_user.values


def test_store__publishes_stored_ratings_and_answers_as_from_all_rows(tmp_path: Path, stored: StoredRatings) -> None:
    model = ALS(rank=4, iterations=2).fit(DATA.ratings, DATA.catalog)
    kept = Store(tmp_path / "store").publish(Dataset(stored, DATA.catalog, DATA.facts), model)
    for file in Path(stored.histories.folder).rglob("*.parquet"):
        file.unlink()
    Store(tmp_path / "store").verify()
    answers = Recommender.of(kept).recommend(user="7", n=5, rated_since="2000-01-01", min_ratings=3)
    expected = Recommender(DATA, model).recommend(user="7", n=5, rated_since="2000-01-01", min_ratings=3)
    assert repr(answers) == repr(expected)
    assert repr(Recommender.of(kept).next_to_rate(user="7")) == repr(Recommender(DATA, model).next_to_rate(user="7"))


def test_store__publishes_the_stored_ratings_of_another_snapshot(tmp_path: Path, stored: StoredRatings) -> None:
    model = ALS(rank=4, iterations=2).fit(DATA.ratings, DATA.catalog)
    store = Store(tmp_path / "store")
    first = store.publish(Dataset(stored, DATA.catalog, DATA.facts), model)
    second = store.publish(first.dataset, model)
    for file in first.path.glob("*.parquet"):
        file.unlink()
    assert store.verify(second.id).data["ratings"] == 1_500
    assert second.dataset.ratings.get("7") is not None


def test_info__describes_a_store_with_stored_ratings(
    tmp_path: Path, stored: StoredRatings, matinee: Callable[..., Result]
) -> None:
    model = ALS(rank=4, iterations=2).fit(DATA.ratings, DATA.catalog)
    Store(tmp_path / "store").publish(Dataset(stored, DATA.catalog, DATA.facts), model)
    found = matinee("info", tmp_path / "store", "--json")
    assert found.exit_code == 0, found.output
    facts = json.loads(found.stdout)
    assert (facts["users"], facts["ratings"]) == (60, 1_500)
    assert sum(row["ratings"] for row in facts["stars"]) == 1_500


def test_histories__name_a_file_that_is_missing_or_damaged(tmp_path: Path, stored: StoredRatings) -> None:
    part = zlib.crc32(b"7") % PARTS
    file = tmp_path / "histories" / f"part={part}" / "one.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    with pytest.raises(StoreError, match=rf"part={part}/one.parquet is missing or damaged: .*; activate another"):
        stored.get("7")
    file.unlink()
    with pytest.raises(StoreError, match=rf"part={part}/one.parquet is missing or damaged"):
        stored.get("7")
