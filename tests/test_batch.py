from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import Result

from matinee import batch
from matinee.batch import batch_recommend
from matinee.datasets.synthetic import synthetic
from matinee.errors import UsageError
from matinee.models.als import ALS
from matinee.models.ease import Ease
from matinee.recommender import Filters, Recommender

DATA = synthetic(150, 120, 4_000, rng=0)
BY_STARS = Recommender.fit(DATA, ALS(rank=4, iterations=3), None)
BY_MATCH = Recommender.fit(DATA, ALS(rank=4, iterations=3), Ease(min_ratings=5))
FILTERS = Filters.of(genre="Drama", min_ratings=10)


@pytest.mark.parametrize("recommender", [BY_STARS, BY_MATCH])
@pytest.mark.parametrize("order", ["match", "stars"])
def test_batch__gives_everybody_the_list_that_is_served(tmp_path: Path, recommender: Recommender, order: str) -> None:
    rows = batch_recommend(recommender, tmp_path / "out", n=7, filters=FILTERS, order=order)  # type: ignore[arg-type]
    table = pq.read_table(tmp_path / "out")
    users = list(DATA.ratings.users)
    served = recommender.recommend(users=users, n=7, genre="Drama", min_ratings=10, order=order)  # type: ignore[arg-type]
    assert rows == table.num_rows == len(served)
    for name in ("user", "movie"):
        assert table[name].to_pylist() == list(served[name])
    for name in ("stars", "low", "high"):
        np.testing.assert_array_equal(table[name].to_numpy(), served.arrow[name].to_numpy())
    if "match" in served.columns:
        np.testing.assert_array_equal(table["match"].to_numpy(), served.arrow["match"].to_numpy())
    else:
        assert table["match"].null_count == rows
    firsts = np.flatnonzero(table["rank"].to_numpy() == 1)
    assert table["user"].take(firsts).to_pylist() == users


def test_batch__is_the_same_in_any_number_of_blocks_parts_and_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_recommend(BY_STARS, tmp_path / "one", threads=1)
    monkeypatch.setattr(batch, "BLOCK", 8)
    monkeypatch.setattr(batch, "BLOCKS_PER_PART", 3)
    batch_recommend(BY_STARS, tmp_path / "many", threads=3)
    parts = sorted(path.name for path in (tmp_path / "many").iterdir())
    assert parts == [f"part-{number:05}.parquet" for number in range(7)]
    assert pq.read_table(tmp_path / "many").equals(pq.read_table(tmp_path / "one"))


def test_batch__tells_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "BLOCK", 30)
    monkeypatch.setattr(batch, "BLOCKS_PER_PART", 2)
    steps: list[tuple[str, int, int | None, float | None]] = []
    batch_recommend(BY_STARS, tmp_path / "out", progress=lambda *step: steps.append(step))
    assert steps == [("recommending", done, 150, None) for done in (60, 120, 150)]


def test_batch__refuses_an_output_that_exists(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the output .* exists already; name a new folder, or remove this one"):
        batch_recommend(BY_STARS, tmp_path)


def test_batch__names_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot write the output .*: Not a directory"):
        batch_recommend(BY_STARS, tmp_path / "file" / "out")


def test_batch__leaves_nothing_where_it_fails(tmp_path: Path) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        batch_recommend(BY_STARS, tmp_path / "out", progress=fail)
    assert list(tmp_path.iterdir()) == []


def test_batch_recommend__writes_from_the_command_line(tmp_path: Path, matinee: Callable[..., Result]) -> None:
    BY_MATCH.publish(tmp_path / "store")
    asked = ("batch-recommend", "--store", tmp_path / "store", "--out", tmp_path / "out", "-n", 3, "--genre", "Drama")
    said = matinee(*asked)
    assert said.exit_code == 0, said.output
    assert "out holds 314 rows of users' lists, from snapshot" in said.output
    assert pq.read_table(tmp_path / "out")["user"][0].as_py() == "1"
    again = matinee(*asked)
    assert again.exit_code == 2
    assert "exists already" in again.output
