from __future__ import annotations

import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import pytest

from matinee.datasets.synthetic import synthetic
from matinee.live import LiveRatings
from matinee.models.als import ALS
from matinee.models.bayes import Bayes
from matinee.models.ease import Ease
from matinee.recommender import Recommender
from matinee.table import Table

USERS = ["1", "2", "3", "4"]


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    dataset = synthetic(200, 300, 8_000, rng=0)
    return Recommender.fit(dataset, Bayes(rank=4, samples=4, burn_in=2), Ease(min_ratings=5))


def sent(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


def answers(recommender: Recommender) -> dict[str, Table]:
    first = recommender.dataset.catalog.title(0)
    return {
        "recommend": recommender.recommend("1", n=2, explain=True),
        "several": recommender.recommend(users=["1", "2"], n=1),
        "together": recommender.recommend_together(users=["1", "2"], n=2),
        "predict": recommender.predict({first: 4}, [first]),
        "similar": recommender.similar(first, n=2, min_ratings=0),
        "explain": recommender.explain({first: 4}, first),
        "next_to_rate": recommender.next_to_rate(n=2),
    }


@pytest.mark.parametrize(
    "asked", ["recommend", "several", "together", "predict", "similar", "explain", "next_to_rate"]
)  # fmt: skip
def test_an_answer__pickles_to_its_rows(recommender: Recommender, asked: str) -> None:
    answer = answers(recommender)[asked]
    packed = pickle.dumps(answer)
    assert len(packed) < 8_000
    opened = pickle.loads(packed)
    assert opened.arrow.equals(answer.arrow)
    assert (repr(opened), opened.note, opened.snapshot, opened.revisions) == (
        repr(answer),
        answer.note,
        answer.snapshot,
        answer.revisions,
    )
    assert sent(opened).arrow.equals(answer.arrow)


def test_a_recommender__answers_the_same_after_pickling(recommender: Recommender) -> None:
    asked = recommender.recommend("1", n=5, explain=True)
    again = sent(recommender).recommend("1", n=5, explain=True)
    assert again.arrow.equals(asked.arrow)


def test_a_recommender_of_a_store__pickles_by_its_place(recommender: Recommender, tmp_path: Path) -> None:
    opened = Recommender.of(recommender.publish(tmp_path / "store"))
    packed = pickle.dumps(opened)
    assert len(packed) < 500
    again = pickle.loads(packed)
    assert again.snapshot_id == opened.snapshot_id
    assert again.recommend("1", n=5).arrow.equals(opened.recommend("1", n=5).arrow)


def test_a_recommender_with_live_ratings__says_why_it_does_not_pickle(recommender: Recommender, tmp_path: Path) -> None:
    store = tmp_path / "store"
    recommender.publish(store)
    with (
        LiveRatings(tmp_path / "live.sqlite3") as live,
        pytest.raises(TypeError, match=r"live ratings does not pickle.*Recommender\.open\(store, live=\.\.\.\)"),
    ):
        pickle.dumps(Recommender.open(store, live=live))


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.parametrize("place", ["memory", "store"])
def test_pool_map__asks_for_many_users_at_once(
    recommender: Recommender, tmp_path: Path, start: str, place: str
) -> None:
    asked = recommender if place == "memory" else Recommender.of(recommender.publish(tmp_path / "store"))
    with multiprocessing.get_context(start).Pool(2) as pool:
        found = pool.map_async(asked.recommend, USERS).get(timeout=120)
    assert [table["movie"] for table in found] == [asked.recommend(user=user)["movie"] for user in USERS]


def _list_in_parallel(threads: int) -> list[str]:
    """Train with the native threads, which a fork does not take along."""
    dataset = synthetic(50, 60, 1_200, rng=0)
    trained = Recommender.fit(dataset, ALS(rank=4, iterations=2, intervals=False), Ease(min_ratings=1), threads=threads)
    return trained.recommend("1", n=3, min_ratings=0)["movie"]


def test_a_forked_process__trains_as_its_parent_did() -> None:
    expected = _list_in_parallel(2)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply_async(_list_in_parallel, (2,)).get(timeout=120) == expected
