from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from matinee.datasets.synthetic import synthetic
from matinee.errors import UnknownMovieError, UsageError
from matinee.live import LiveRatings
from matinee.models.als import ALS
from matinee.models.ease import Ease
from matinee.recommender import Recommender

DATA = synthetic(300, 400, 12_000, rng=0)
FITTED = Recommender.fit(DATA, ALS(rank=4, iterations=3), Ease())


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveRatings]:
    with LiveRatings(tmp_path / "live.sqlite3") as opened:
        yield opened


@pytest.fixture
def served(live: LiveRatings) -> Recommender:
    return Recommender(DATA, FITTED.rater, FITTED.ranker, live=live)


@pytest.mark.parametrize("order", ["match", "stars"])
@pytest.mark.parametrize("user", ["1", "a newcomer"])
def test_a_movie_seen_or_hidden__is_never_listed_and_the_next_best_follows(
    served: Recommender, live: LiveRatings, user: str, order: str
) -> None:
    best = served.recommend(user=user, n=10, order=order)["movie"]  # type: ignore[arg-type]
    live.mark(user, best[0], "seen")
    live.mark(user, best[2], "hidden")
    live.mark(user, best[3], "watchlist")
    after = served.recommend(user=user, n=8, order=order)["movie"]  # type: ignore[arg-type]
    assert after == [movie for movie in best if movie not in (best[0], best[2])]


def test_a_movie_that_is_unmarked__is_listed_again(served: Recommender, live: LiveRatings) -> None:
    before = served.recommend(user="1", n=5)
    live.mark("1", before["movie"][0], "hidden")
    live.unmark("1", before["movie"][0])
    assert served.recommend(user="1", n=5).arrow.equals(before.arrow)


def test_what_is_hidden__is_hidden_behind_the_movies_that_the_ranker_ranks_too(
    served: Recommender, live: LiveRatings
) -> None:
    last = served.recommend(user="1", n=400, min_ratings=0)["movie"][-1]
    live.mark("1", last, "hidden")
    assert last not in served.recommend(user="1", n=400, min_ratings=0)["movie"]


def test_marks__change_nothing_but_what_is_listed(served: Recommender, live: LiveRatings) -> None:
    before = served.predict(user="1", movies=["7", "8"]).arrow
    live.mark("1", "7", "seen")
    live.mark("1", "not in the data", "hidden")
    assert served.predict(user="1", movies=["7", "8"]).arrow.equals(before)


def test_a_short_list__says_how_many_are_marked(served: Recommender, live: LiveRatings) -> None:
    all_of_them = served.recommend(user="1", n=400)
    for movie in all_of_them["movie"][:3]:
        live.mark("1", movie, "seen")
    assert served.recommend(user="1", n=400).note.splitlines()[0].endswith("; seen or hidden: 3")


def test_within_the_watchlist__lists_it_alone_in_the_same_order(served: Recommender, live: LiveRatings) -> None:
    best = served.recommend(user="1", n=30)["movie"]
    wanted = [best[20], best[5], best[11]]
    for movie in wanted:
        live.mark("1", movie, "watchlist")
    answer = served.recommend(user="1", n=10, within="watchlist")
    assert answer["movie"] == [best[5], best[11], best[20]]
    assert answer.note.startswith("3 instead of 10; movies on the watchlist that pass the filters")
    assert served.recommend(user="2", n=10, within="watchlist")["movie"] == []


def test_within_movies__lists_no_others_and_still_none_rated(served: Recommender) -> None:
    best = served.recommend(user="1", n=30)["movie"]
    rated = DATA.catalog.ids.take(DATA.ratings.get("1").movies)  # type: ignore[union-attr]
    answer = served.recommend(user="1", n=10, within=[best[9], rated[0], best[2]])
    assert answer["movie"] == [best[2], best[9]]
    title = served.recommend(user="1", n=1, within=["Synthetic movie 399"], min_ratings=0)
    assert title["movie"] == ["399"]


def test_within_what_somebody_chose__counts_no_ratings_unless_asked_to(served: Recommender, live: LiveRatings) -> None:
    rare = DATA.catalog.ids[int(DATA.ratings.movie_counts.argmin())]
    assert 0 < DATA.ratings.movie_counts.min() < 25
    live.mark("1", rare, "watchlist")
    answer = served.recommend(user="1", n=10, within="watchlist")
    assert answer["movie"] == [rare]
    assert answer.note.startswith("1 instead of 10; movies on the watchlist that pass the filters: 1;")
    assert served.recommend(user="1", n=10, within=[rare])["movie"] == [rare]
    for asked in ({"min_ratings": 25}, {"rated_since": "1990-01-01"}):
        few = served.recommend(user="1", n=10, within="watchlist", **asked)  # type: ignore[arg-type]
        assert (few["movie"], "at least 25 ratings" in few.note) == ([], True)


def test_within_what_cannot_be_meant__gets_one_clear_line(served: Recommender) -> None:
    with pytest.raises(UsageError, match="within must be 'watchlist' or a list of movies, not 'favourites'"):
        served.recommend(user="1", within="favourites")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="within='watchlist' needs one user"):
        served.recommend(users=["1", "2"], within="watchlist")
    with pytest.raises(UnknownMovieError):
        served.recommend(user="1", within=["Nothing Such"])


def test_a_joint_list__leaves_out_what_one_of_them_saw_or_hid(served: Recommender, live: LiveRatings) -> None:
    best = served.recommend_together(users=["1", "2"], n=10)["movie"]
    live.mark("1", best[0], "seen")
    live.mark("2", best[1], "hidden")
    live.mark("2", best[2], "watchlist")
    assert served.recommend_together(users=["1", "2"], n=8)["movie"] == best[2:]


def test_a_forgotten_person__has_no_ratings_whatever_the_snapshot_says(served: Recommender, live: LiveRatings) -> None:
    live.rate("1", {"5": 4.0})
    live.mark("1", "6", "hidden")
    live.forget("1")
    answer = served.recommend(user="1", n=5)
    assert "no ratings yet" in answer.note
    assert answer["movie"] == served.recommend(n=5)["movie"]
    live.rate("1", {"7": 5.0})
    assert served.recommend(user="1", n=5).arrow.equals(served.recommend({"7": 5.0}, n=5).arrow)
