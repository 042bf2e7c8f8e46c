from __future__ import annotations

import pickle
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matinee.datasets import load
from matinee.datasets.synthetic import synthetic
from matinee.errors import AmbiguousTitleError, DataError, ModelError, UnknownMovieError, UnknownUserError, UsageError
from matinee.live import LiveRatings
from matinee.models import Config
from matinee.models.als import ALS
from matinee.models.baselines import Bias, Popular
from matinee.models.bayes import Bayes
from matinee.models.ease import Ease
from matinee.ratings import History, batch
from matinee.recommender import Filters, Recommender

DATA = synthetic(300, 400, 12_000, rng=0)
TUTORIAL = dict(zip([260, 1, 16, 25, 32, 335, 379, 296, 858, 50], [9, 8, 7, 8, 9, 4, 3, 7, 10, 8], strict=True))


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    return Recommender.fit(DATA, ALS(rank=4, iterations=3), Ease())


@pytest.fixture(scope="module")
def real(movielens: Callable[[str], Path]) -> Recommender:
    return Recommender.fit(load(movielens("ml-latest-small")), ALS(), Ease())


filters = st.builds(
    dict,
    genre=st.none() | st.lists(st.sampled_from(DATA.catalog.genre_names), min_size=1, max_size=2),
    not_genre=st.none() | st.sampled_from(DATA.catalog.genre_names),
    year_from=st.none() | st.integers(1950, 2010),
    rated_since=st.none() | st.sampled_from(["2000-01-01", "2012-06-30"]),
    min_ratings=st.integers(0, 60),
)


def passes(movie: int, asked: Mapping[str, object]) -> bool:
    """Whether one movie passes, written out as a person would check it."""
    genres = set(DATA.catalog.table["genres"][movie].as_py())
    year = DATA.catalog.table["year"][movie].as_py()
    wanted, unwanted, since = asked["genre"], asked["not_genre"], asked["rated_since"]
    times = DATA.ratings.timestamps[DATA.ratings.by_user.indices == movie]  # type: ignore[index]
    if since is not None:
        times = times[times >= datetime.fromisoformat(str(since)).replace(tzinfo=UTC).timestamp()]
    return (
        len(times) >= asked["min_ratings"]  # type: ignore[operator]
        and (wanted is None or bool(genres & set(wanted)))  # type: ignore[call-overload]
        and unwanted not in genres
        and (asked["year_from"] is None or (year is not None and year >= asked["year_from"]))
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=filters, user=st.integers(0, 299), n=st.integers(1, 40), order=st.sampled_from(["match", "stars"]))
def test_recommend__lists_exactly_n_of_the_movies_that_pass_and_are_not_rated(
    recommender: Recommender, asked: dict[str, object], user: int, n: int, order: str
) -> None:
    name = DATA.ratings.users[user]
    table = recommender.recommend(user=name, n=n, order=order, **asked)  # type: ignore[arg-type]
    rated = set(DATA.ratings.history(user).movies.tolist())
    passing = {movie for movie in range(len(DATA.catalog)) if passes(movie, asked)}
    found = [DATA.catalog.ids.position(movie) for movie in table["movie"]]
    assert len(set(found)) == len(found) == min(n, len(passing - rated))
    assert set(found) <= passing - rated
    assert ("instead of" in table.note) == (len(found) < n)
    if order == "stars":
        profile = recommender.rater.fold_in(batch([DATA.ratings.history(user)], len(DATA.catalog)))
        scores = recommender.rater.scores(profile)[0]
        best = sorted(passing - rated, key=lambda movie: (-scores[movie], movie))[: len(found)]
        np.testing.assert_allclose(scores[found], scores[best], rtol=1e-5)


def test_recommend__says_why_there_are_fewer_than_asked(recommender: Recommender) -> None:
    table = recommender.recommend(user="1", n=500, min_ratings=100)
    assert len(table) < 500
    allowed = recommender.allowed(Filters(min_ratings=100))
    rated = int(allowed[DATA.ratings.get("1").movies].sum())  # type: ignore[union-attr]
    assert table.note.splitlines()[0] == (
        f"{len(table)} instead of 500; movies that pass the filters and have at least 100 ratings: {allowed.sum()}; "
        f"already rated: {rated}"
    )
    several = recommender.recommend(users=["1", "2"], n=500, rated_since="2000-01-01").note
    assert "fewer than 500 for 2 of 2 people; movies that pass" in several
    assert "ratings since 2000-01-01: " in several


def test_recommend__one_history_and_many_agree(recommender: Recommender) -> None:
    together = recommender.recommend(users=["1", 2, "3"], n=5).to_pandas()
    for user in ("1", "2", "3"):
        alone = recommender.recommend(user=user, n=5).to_pandas()
        pd.testing.assert_frame_equal(
            together[together.user == user].drop(columns="user").reset_index(drop=True), alone
        )


def test_recommend__takes_several_histories_and_numbers_them(recommender: Recommender) -> None:
    me, you = {"1": 4.0, "2": 2.5}, pd.DataFrame({"movie": [3, 4], "stars": [5, 1]})
    together = recommender.recommend([me, you], n=5)
    assert together["history"] == [0] * 5 + [1] * 5
    alone = recommender.recommend(me, n=5)["movie"] + recommender.recommend(you, n=5)["movie"]
    assert together["movie"] == alone
    assert recommender.predict([me, you], ["7", "8"])["history"] == [0, 0, 1, 1]


def test_recommend__of_nobody_is_empty(recommender: Recommender) -> None:
    assert len(recommender.recommend(users=[])) == 0


def test_recommend__puts_movies_the_ranker_does_not_rank_behind_those_it_does(recommender: Recommender) -> None:
    table = recommender.recommend(user="1", n=400, min_ratings=0)
    ranked = np.array(table["ratings"]) >= 25
    assert ranked.any()
    assert not ranked.all()
    assert (np.diff(ranked.astype(int)) <= 0).all()
    assert [match is not None for match in table["match"]] == ranked.tolist()
    assert "match" not in recommender.recommend(user="1", order="stars").columns


def test_recommend__gives_a_person_without_ratings_the_most_rated_movies_and_says_so(recommender: Recommender) -> None:
    table = recommender.recommend(n=5)
    assert table["ratings"] == sorted(DATA.ratings.movie_counts.tolist(), reverse=True)[:5]
    assert "no ratings yet" in table.note
    assert "simulated ratings" in table.note
    assert recommender.recommend(n=2, explain=True)["why"] == [[], []]


def test_recommend__says_what_a_person_without_ratings_sees_in_each_order(recommender: Recommender) -> None:
    table = recommender.recommend(n=5, order="stars")
    assert table["stars"] == sorted(table["stars"], reverse=True)
    assert "no ratings yet: the movies with the highest mean stars" in table.note
    assert "no ratings yet: stars that are not personal" in recommender.predict({}, "1").note
    assert "1 of 2 people have no ratings yet" in recommender.recommend([{}, DATA.ratings.history(0)]).note


def test_recommend__says_when_a_history_is_too_short_for_the_rater(recommender: Recommender) -> None:
    assert "few ratings yet" in recommender.recommend({"1": 5}).note
    assert "few ratings yet" not in recommender.recommend(user="1").note


def test_recommend__takes_a_history_in_any_form(recommender: Recommender) -> None:
    stars = {"1": 4.0, "2": 2.5, "3": 5.0}
    forms = [
        {1: 4, "2": 2.5, "Synthetic movie 3": 5},
        list(stars.items()),
        pd.DataFrame({"movie": list(stars), "stars": list(stars.values())}),
        pa.table({"movieId": [1, 2, 3], "rating": [4.0, 2.5, 5.0]}),
    ]
    expected = recommender.recommend(stars).arrow
    for form in forms:
        assert recommender.recommend(form).arrow.equals(expected)


def test_recommend__speaks_another_scale_in_and_out(recommender: Recommender) -> None:
    plain = recommender.recommend({"1": 0.5, "2": 5, "3": 3}, explain=True)
    scaled = recommender.recommend({"1": 1, "2": 10, "3": 5.5}, explain=True, scale="1:10")
    assert scaled["movie"] == plain["movie"]
    assert scaled["why"] == plain["why"]
    np.testing.assert_allclose(scaled["stars"], 1 + (np.array(plain["stars"]) - 0.5) * 2, atol=1e-5)
    np.testing.assert_allclose(scaled["high"], 1 + (np.array(plain["high"]) - 0.5) * 2, atol=1e-5)


@pytest.mark.parametrize(
    ("ask", "error", "message"),
    [
        (lambda r: r.recommend(user="nobody"), UnknownUserError, "unknown user 'nobody'"),
        (lambda r: r.recommend({"Nothing Such": 4}), UnknownMovieError, "unknown movie 'Nothing Such'"),
        (
            lambda r: r.recommend({"1": 7}),
            DataError,
            r"Synthetic movie 1 .*: 7 stars are not on the scale from 0\.5 to 5",
        ),
        (lambda r: r.recommend({"1": "x"}), DataError, "'x' is not a number of stars"),
        (lambda r: r.recommend({"1": float("nan")}), DataError, "nan stars are not on"),
        (lambda r: r.recommend({"1": 4.3}), DataError, r"4\.3 stars are not on the scale .* in steps of 0\.5"),
        (lambda r: r.recommend({"1": 4, 1: 3}), DataError, "is rated twice"),
        (lambda r: r.recommend(5.5), UsageError, "ratings must be "),
        (lambda r: r.recommend({"1": 4}, user="1"), UsageError, "give only one of ratings, user and users"),
        (lambda r: r.recommend(user="1", n=0), UsageError, "n must be at least 1"),
        (lambda r: r.recommend(user="1", order="best"), UsageError, "order must be match or stars"),
        (
            lambda r: r.recommend(user="1", genre="Dramedy"),
            UsageError,
            "no movie has the genre 'Dramedy'; this data has",
        ),
        (lambda r: r.recommend(user="1", year_from=2000, year_to=1990), UsageError, "no movie is in that range"),
        (lambda r: r.recommend(user="1", rated_since="April"), UsageError, "a date has the form 2015-04-01"),
        (lambda r: r.recommend(user="1", rated_since=2015), UsageError, "a date has the form 2015-04-01, not 2015"),
        (lambda r: r.recommend(users="12"), UsageError, "users must be a list; for one user use user='12'"),
        (lambda r: r.predict(user="1"), UsageError, "movies: name at least one, by id or title"),
        (lambda r: r.explain(user="1"), UsageError, "name the movie to explain"),
        (lambda r: r.explain([{}, {}], "1"), UsageError, "ratings: give one person.s ratings"),
        (lambda r: r.similar("1", n=-1), UsageError, "n must be at least 1, not -1"),
        (lambda r: r.predict(user="1", movies=["Synthetic"]), UnknownMovieError, "did you mean"),
        (lambda r: Recommender.fit(DATA, rater=Popular()), ModelError, "popular does not predict stars"),
    ],
)
def test_a_question_that_cannot_be_meant__gets_one_clear_line(
    recommender: Recommender, ask: Callable[[Recommender], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        ask(recommender)
    assert "\n" not in str(caught.value)


def test_predict__answers_in_the_order_asked_with_stars_inside_the_scale(recommender: Recommender) -> None:
    table = recommender.predict({"1": 5, "2": 5, "3": 5}, ["3", "Synthetic movie 1", 7])
    assert table["movie"] == ["3", "1", "7"]
    assert all(0.5 <= stars <= 5 for stars in table["stars"])


@pytest.mark.parametrize("of", ["stars", "match"])
def test_explain__sums_to_the_unclipped_score(recommender: Recommender, of: str) -> None:
    history = DATA.ratings.history(5)
    model = recommender.rater if of == "stars" else recommender.ranker
    movie = recommender.recommend(user=DATA.ratings.users[5], n=1)["movie"][0]
    table = recommender.explain(user=DATA.ratings.users[5], movie=movie, of=of)  # type: ignore[arg-type]
    profile = model.fold_in(batch([history], len(DATA.catalog)))  # type: ignore[union-attr]
    score = model.scores(profile)[0, DATA.catalog.ids.position(movie)]  # type: ignore[union-attr]
    assert sum(table["contribution"]) == pytest.approx(score, abs=1e-4)
    assert len(table) == len(history) + 1


def test_similar__leaves_out_the_movie_itself_and_rarely_rated_ones(recommender: Recommender) -> None:
    movie = DATA.catalog.ids[int(np.argmax(DATA.ratings.movie_counts))]
    table = recommender.similar(movie, n=8, min_ratings=30)
    assert len(table) == 8
    assert movie not in table["movie"]
    assert min(table["ratings"]) >= 30
    assert table["similarity"] == sorted(table["similarity"], reverse=True)
    assert table.note.startswith("nearest to ")
    assert recommender.similar(movie, n=8, min_ratings=10**6).note.startswith("0 instead of 8: nearest to ")


@dataclass
class LiveUser:
    stars: dict[str, float | None] = field(default_factory=dict)
    revision: int = 1
    marks: dict[str, str] = field(default_factory=dict)
    forgotten: bool = False


class Live:
    def __init__(self, **people: dict[str, float | None]) -> None:
        self.people = people

    def read(self, user: str) -> LiveUser:
        return LiveUser(self.people[user]) if user in self.people else LiveUser(revision=0)


def test_live_ratings__win_over_the_data_and_a_deletion_removes(recommender: Recommender) -> None:
    imported = DATA.ratings.history(0)
    user = DATA.ratings.users[0]
    first, second = (DATA.catalog.ids[int(movie)] for movie in imported.movies[:2])
    new = next(m for m in map(str, range(1, 400)) if DATA.catalog.ids.position(m) not in imported.movies)
    live = Live(**{user: {first: 0.5, second: None, new: 5.0, "not in the data": 3.0}})
    overlaid = Recommender(DATA, recommender.rater, recommender.ranker, live=live)
    stars = dict(zip(imported.movies.tolist(), imported.stars.tolist(), strict=True))
    stars[int(imported.movies[0])], stars[DATA.catalog.ids.position(new)] = 0.5, 5.0  # type: ignore[index]
    del stars[int(imported.movies[1])]
    expected = recommender.recommend(History.of(stars), n=10)
    answer = overlaid.recommend(user=user, n=10)
    assert answer.arrow.equals(expected.arrow)
    assert answer.revisions == (1,)


def test_live_ratings__change_nothing_where_the_data_holds_them_already(recommender: Recommender) -> None:
    user, imported = DATA.ratings.users[3], DATA.ratings.history(3)
    same = dict(zip(DATA.catalog.ids.take(imported.movies), imported.stars.tolist(), strict=True))
    overlaid = Recommender(DATA, recommender.rater, recommender.ranker, live=Live(**{user: same}))
    assert overlaid.recommend(user=user).arrow.equals(recommender.recommend(user=user).arrow)


def test_answers__name_the_snapshot_and_the_live_revisions(recommender: Recommender, tmp_path: Path) -> None:
    published = recommender.publish(tmp_path).id
    with LiveRatings(tmp_path / "live.sqlite3") as live:
        live.rate("ann", {"1": 5.0})
        live.rate("ann", {"2": 5.0})
        served = Recommender.open(tmp_path, live=live)
        assert served.recommend(users=["1", "ann"]).revisions == (0, 2)
        assert served.predict(user="ann", movies="3").revisions == (2,)
        assert served.explain(user="ann", movie="3").revisions == (2,)
        assert {served.recommend().snapshot, served.similar("1").snapshot} == {published}
    assert recommender.recommend().snapshot == "memory"


def test_live_ratings__make_an_unknown_user_a_person_without_ratings(recommender: Recommender, tmp_path: Path) -> None:
    with LiveRatings(tmp_path / "live.sqlite3") as live:
        served = Recommender(DATA, recommender.rater, recommender.ranker, live=live)
        assert "no ratings yet" in served.recommend(user="somebody").note
        live.rate("somebody", {"1": 5.0})
        assert "no ratings yet" not in served.recommend(user="somebody").note
        assert "1" not in served.recommend(user="somebody", n=400, min_ratings=0)["movie"]


def test_allowed__is_made_once_for_the_same_filters(recommender: Recommender) -> None:
    allowed = recommender.allowed(Filters.of(genre="Drama"))
    assert allowed is recommender.allowed(Filters.of(genre=["Drama"]))
    with pytest.raises(ValueError, match="read-only"):
        allowed[0] = True


def test_recommender__goes_as_soon_as_nobody_holds_it() -> None:
    served = Recommender.fit(DATA, Bias(), None)
    served.recommend(user="1")
    gone = weakref.ref(served)
    del served
    assert gone() is None


def test_recommender__without_a_ranker_orders_by_stars() -> None:
    plain = Recommender.fit(DATA, Bias(), None)
    assert plain.recommend(user="1")["movie"] == plain.recommend(user="1", order="stars")["movie"]
    with pytest.raises(UsageError, match="needs a ranker, and this recommender has none"):
        plain.explain(user="1", movie="2", of="match")


@pytest.mark.data
def test_recommend__takes_the_ten_ratings_of_the_tutorial_on_its_scale(real: Recommender) -> None:
    top = real.recommend(TUTORIAL, scale="1:10", n=25)
    assert len(top) == 25
    assert min(top["ratings"]) >= 25
    assert not set(top["movie"]) & set(map(str, TUTORIAL))
    assert {"The Shawshank Redemption", "The Godfather: Part II", "Fargo"} <= set(top["title"][:10])
    assert all(
        1 <= low <= stars <= high <= 10 for low, stars, high in zip(top["low"], top["stars"], top["high"], strict=True)
    )
    (quiz,) = real.predict(TUTORIAL, "Quiz Show", scale="1:10")
    assert 5 < quiz["stars"] < 10
    with pytest.raises(AmbiguousTitleError, match="several movies are called 'Hamlet'"):
        real.predict({"Quiz Show": 4}, "Hamlet")


@pytest.mark.data
@pytest.mark.parametrize(
    ("film", "sequel"),
    [
        ("Toy Story", "Toy Story 2"),
        ("The Godfather", "The Godfather: Part II"),
        ("4993", "The Lord of the Rings: The Two Towers"),
    ],
)
def test_similar__finds_the_sequels_of_a_film(real: Recommender, film: str, sequel: str) -> None:
    assert sequel in real.similar(film, n=3)["title"]


@pytest.mark.parametrize(
    ("rater", "ranker"), [(ALS(rank=2, iterations=2), None), (Bayes(rank=3, sweeps=6, burn_in=3, samples=2), Ease())]
)
def test_an_opened_recommender_that_has_answered__travels_to_another_process(
    tmp_path: Path, rater: Config, ranker: Config | None
) -> None:
    Recommender.fit(DATA, rater, ranker).publish(tmp_path / "store")
    opened = Recommender.open(tmp_path / "store")
    answer = list(opened.recommend(user=DATA.ratings.users[0], n=5))
    sent = pickle.loads(pickle.dumps((opened.dataset, opened.rater, opened.ranker)))
    assert list(Recommender(*sent).recommend(user=DATA.ratings.users[0], n=5)) == answer


def test_filters_and_their_options__are_not_given_together(recommender: Recommender) -> None:
    with pytest.raises(UsageError, match="use either filters= or genre=, not both; put genre into filters"):
        recommender.recommend({}, filters=Filters(), genre="Drama")


def test_recommend__takes_a_filters_object(recommender: Recommender) -> None:
    chosen = Filters.of(genre="Drama", min_ratings=3)
    by_object, by_option = (
        recommender.recommend({}, n=5, **asked) for asked in ({"filters": chosen}, {"genre": "Drama", "min_ratings": 3})
    )
    assert by_object["movie"] == by_option["movie"]
