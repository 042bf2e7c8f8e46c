from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from matinee.errors import BusyError, UsageError
from matinee.live import LiveHistory, LiveRatings, NewMovie
from matinee.live.forgotten import hashed
from matinee.live.schema import ABOUT_PEOPLE, LINKS, MEMBERS


@pytest.fixture
def live(live_address):
    with LiveRatings(live_address) as opened:
        yield opened


def test_mark__is_read_with_the_ratings_and_counts_in_the_revision(live):
    live.rate("ann", {"1": 4})
    assert live.mark("ann", "2", "seen") == 2
    assert live.mark("ann", "3", "watchlist") == 3
    assert live.read("ann") == LiveHistory(3, {"1": 4.0}, {"2": "seen", "3": "watchlist"})


def test_mark__replaces_the_earlier_one_and_repeated_changes_nothing(live):
    live.mark("ann", "2", "watchlist")
    assert live.mark("ann", "2", "hidden") == 2
    assert live.mark("ann", "2", "hidden") == 2
    assert live.read("ann").marks == {"2": "hidden"}


def test_unmark__takes_a_mark_away_and_repeated_changes_nothing(live):
    live.mark("ann", "2", "seen")
    assert live.unmark("ann", "2") == 2
    assert live.unmark("ann", "2") == 2
    assert live.read("ann") == LiveHistory(2)
    assert live.unmark("bob", "2") == 0


def test_a_mark_nobody_knows__is_refused(live):
    with pytest.raises(UsageError, match="a mark is seen, hidden or watchlist, not 'liked'"):
        live.mark("ann", "2", "liked")


def test_forget__leaves_only_that_the_person_is_forgotten(live):
    live.rate("ann", {"1": 4})
    live.mark("ann", "2", "seen")
    with live.writing() as connection:
        connection.execute(LINKS.insert().values(hash="x", user="ann", at=1))
        connection.execute(MEMBERS.insert().values(room="r", user="ann", at=1))
    live.rate("bob", {"1": 3})
    live.forget("ann")
    assert live.read("ann") == LiveHistory(3, {}, {}, forgotten=True)
    assert live.read("bob") == LiveHistory(1, {"1": 3.0})
    with live.reading() as connection:
        for table in ABOUT_PEOPLE:
            assert connection.execute(select(table).where(table.c.user == "ann")).all() == []
    forgotten = live.everything().forgotten
    assert ("ann" in forgotten, "bob" in forgotten, len(forgotten.numbers)) == (True, False, 1)


def test_somebody_who_comes_back_after_being_forgotten__has_a_revision_that_goes_on(live):
    live.rate("ann", {"1": 4})
    live.forget("ann")
    assert live.rate("ann", {"1": 2}) == 3
    assert live.read("ann") == LiveHistory(3, {"1": 2.0}, {}, forgotten=True)
    live.forget("ann")
    assert live.read("ann") == LiveHistory(4, {}, {}, forgotten=True)


def test_writes_of_many_threads_around_a_forget__leave_what_came_after_it(live):
    threads = [
        threading.Thread(target=act)
        for turn in range(20)
        for act in (
            lambda turn=turn: live.rate("ann", {str(turn): 4}),
            lambda: live.forget("ann"),
            lambda turn=turn: live.mark("bob", str(turn), "seen"),
        )
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert live.read("ann").revision == 40
    assert len(live.read("bob").marks) == live.read("bob").revision == 20


def test_a_state__goes_to_json_and_back(live):
    assert live.state("refit") is None
    live.set_state("refit", {"published": "a", "errors": [0.5, None]})
    live.set_state("refit", {"published": "b"})
    assert live.state("refit") == {"published": "b"}


def test_a_lock__has_one_holder_at_a_time(live):
    with live.lock("refit"):
        with (
            pytest.raises(BusyError, match=r"another process has held .*refit.*; wait for it to end"),
            live.lock("refit", wait=False),
        ):
            raise AssertionError
        with live.lock("import", wait=False):
            pass
    with live.lock("refit", wait=False):
        pass


def test_a_lock__does_not_keep_anybody_from_writing(live):
    with live.lock("refit"):
        assert live.rate("ann", {"1": 3}) == 1


def test_a_lock__is_waited_for(live):
    order = []

    def second():
        with live.lock("refit"):
            order.append("second")

    with live.lock("refit"):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.1)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]


def test_a_new_movie__is_kept_and_replaced(live):
    heat = NewMovie("900001", "Heat", 1995, ("Crime", "Action"), "tt0113277", "949")
    live.add_movie(NewMovie("900001", "Heet"))
    live.add_movie(heat)
    live.add_movie(NewMovie("900000", "Untold"))
    assert live.movies() == (
        NewMovie("900000", "Untold"),
        NewMovie("900001", "Heat", 1995, ("Action", "Crime"), "tt0113277", "949"),
    )


def test_new_movies_that_are_added_at_once__never_share_an_imdb_id(live, live_address):
    with LiveRatings(live_address) as elsewhere, ThreadPoolExecutor(8) as threads:
        for number in range(5):
            new = [NewMovie(f"{number}.{one}", "Heat", imdb=f"tt{number}") for one in range(8)]
            others = list(threads.map(lambda one: (live, elsewhere)[one.movie[-1] in "0246"].add_movie(one), new))
            [stored] = [movie.movie for movie in live.movies() if movie.imdb == f"tt{number}"]
            assert sorted(map(str, others)) == sorted(["None", *[stored] * 7])


def test_a_new_movie_that_is_described_anew__changes_the_revision_of_who_said_something_of_it(live):
    live.add_movie(NewMovie("1", "Heat", genres=("Crime", "Action")))
    live.rate("ann", {"1": 3})
    live.mark("bob", "1", "seen")
    live.rate("eve", {"2": 3})
    live.add_movie(NewMovie("1", "Heat", genres=("Action", "Crime")))
    assert [live.revision(user) for user in ("ann", "bob", "eve")] == [1, 1, 1]
    live.add_movie(NewMovie("1", "Heat", 1995))
    assert [live.revision(user) for user in ("ann", "bob", "eve")] == [2, 2, 1]
    assert live.rate("ann", {"1": 4}) == 3


@pytest.mark.parametrize(
    "movie",
    [
        NewMovie("1", " "),
        NewMovie("1", "A", genres=("a|b",)),
        NewMovie("", "A"),
        NewMovie("1", "A\x00"),
        NewMovie("1", "A", genres=("a\nb",)),
        NewMovie("1", "A", imdb="tt\x001"),
        NewMovie("1", "A", tmdb="\x7f"),
    ],
)
def test_a_new_movie_that_cannot_be__is_refused(live, movie):
    with pytest.raises(UsageError):
        live.add_movie(movie)
    assert live.movies() == ()


def test_everything__is_all_that_a_refit_needs_as_of_one_moment(live):
    live.rate("bob", {"2": 4.5})
    live.rate("ann", {"1": 3})
    live.delete("ann", "7")
    live.add_movie(NewMovie("9", "New"))
    live.forget("eve")
    found = live.everything()
    assert found.ratings.select(["user", "movie", "stars"]).to_pylist() == [
        {"user": "ann", "movie": "1", "stars": 3.0},
        {"user": "ann", "movie": "7", "stars": None},
        {"user": "bob", "movie": "2", "stars": 4.5},
    ]
    assert found.movies == (NewMovie("9", "New"),)
    assert [*found.forgotten.numbers] == [hashed("eve")]
    assert all(at > 1.7e9 for at in found.ratings["at"].to_pylist())


def test_everything__of_an_empty_database_is_an_empty_table(live):
    assert live.everything().ratings.num_rows == 0


@pytest.mark.parametrize("odd", ["", "nul\0", "\ud800"])
def test_reading_an_id_that_cannot_be__finds_nobody(live, odd):
    assert live.read(odd) == LiveHistory()
