from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matinee.catalog import SCHEMA, Catalog
from matinee.errors import AmbiguousTitleError, UnknownMovieError
from matinee.ids import Ids
from matinee.titles import split_title

FILMS = {
    "1": ("Toy Story (1995)", ["Animation", "Children"]),
    "2": ("Matrix, The (1999)", ["Action"]),
    "3": ("Hamlet (1948)", ["Drama"]),
    "4": ("Hamlet (1996)", ["Drama"]),
    "5": ("City of Lost Children, The (Cité des enfants perdus, La) (1995)", []),
    "6": ("Amélie (2001)", ["Romance"]),
    "7": ("Toy Story 2 (1999)", ["Animation"]),
    "8": ("Heat (1995)", []),
    "9": ("Heat, The (2013)", []),
    "10": ("Nameless", []),
}


def make_catalog(ids: list[str] | None = None) -> Catalog:
    rows = []
    for movie, (text, genres) in FILMS.items():
        title, year = split_title(text)
        rows.append({"movie": movie, "title": title, "year": year, "genres": genres, "tags": []})
    return Catalog.of(Ids(ids or FILMS), pa.Table.from_pylist(rows, SCHEMA))


@pytest.mark.parametrize(
    ("text", "title", "year"),
    [
        ("Matrix, The (1999)", "The Matrix", 1999),
        ("American President, The (1995) ", "The American President", 1995),
        ("Avventura, L' (Adventure, The) (1960)", "L'Avventura (The Adventure)", 1960),
        ("Seven (a.k.a. Se7en) (1995)", "Seven (Se7en)", 1995),
        ("Fawlty Towers (1975-1979)", "Fawlty Towers", 1975),
        ("Doctor Who (2005- )", "Doctor Who", 2005),
        ("Babylon 5", "Babylon 5", None),
        ("2001: A Space Odyssey (1968)", "2001: A Space Odyssey", 1968),
        ("1984 (1984)", "1984", 1984),
        ("(500) Days of Summer (2009)", "(500) Days of Summer", 2009),
        ("Good, the Bad and the Ugly, The (1966)", "The Good, the Bad and the Ugly", 1966),
        ("I, Robot (2004)", "I, Robot", 2004),
    ],
)
def test_split_title__shows_titles_as_people_write_them(text: str, title: str, year: int | None) -> None:
    assert split_title(text) == (title, year)


@given(st.text(min_size=1).filter(lambda text: text.strip()))
def test_split_title__never_loses_everything(text: str) -> None:
    assert split_title(text)[0]


@pytest.mark.parametrize(
    ("asked", "movie"),
    [
        ("2", "2"),
        (2, "2"),
        ("the matrix", "2"),
        ("Matrix, The", "2"),
        ("The Matrix (1999)", "2"),
        ("Hamlet (1996)", "4"),
        ("amelie", "6"),
        ("La cite des enfants perdus", "5"),
        ("City of Lost Children", "5"),
        ("toy story", "1"),
        ("heat", "8"),
        ("the heat", "9"),
    ],
)
def test_resolve__takes_an_id_or_a_title(asked: str | int, movie: str) -> None:
    catalog = make_catalog()
    assert catalog.ids[catalog.resolve(asked)] == movie


def test_resolve__lists_the_movies_that_share_a_title() -> None:
    with pytest.raises(AmbiguousTitleError, match=r"3: Hamlet \(1948\); 4: Hamlet \(1996\)") as caught:
        make_catalog().resolve("Hamlet")
    assert caught.value.candidates == (("3", "Hamlet (1948)"), ("4", "Hamlet (1996)"))


@pytest.mark.parametrize("asked", ["Toy Stroy", "Hamlet (2000)", "matrx"])
def test_resolve__names_the_closest_titles(asked: str) -> None:
    with pytest.raises(UnknownMovieError, match="did you mean"):
        make_catalog().resolve(asked)


def test_search__takes_prefixes_in_any_order_and_puts_the_best_first() -> None:
    catalog = make_catalog()

    def titles(query: str) -> list[str]:
        return [catalog.title(int(movie)) for movie in catalog.search(query)]

    assert titles("toy story") == ["Toy Story (1995)", "Toy Story 2 (1999)"]
    assert titles("sto to") == ["Toy Story (1995)", "Toy Story 2 (1999)"]
    assert titles("the mat") == ["The Matrix (1999)"]
    assert titles("hamlet 1996") == ["Hamlet (1996)"]
    assert titles("zzz") == titles("  ") == []


def test_search__puts_the_most_rated_first_among_equals() -> None:
    catalog = make_catalog()
    counts = catalog.years.astype("int64")
    assert [catalog.title(int(m)) for m in catalog.search("hamlet", counts=counts)] == [
        "Hamlet (1996)",
        "Hamlet (1948)",
    ]


def test_catalog__follows_the_ids_and_shows_a_movie_without_facts_by_its_id() -> None:
    catalog = make_catalog(["7", "99", "10", "2"])
    assert list(catalog.ids) == ["10", "2", "7", "99"]
    assert [catalog.title(movie) for movie in range(4)] == [
        "Nameless",
        "The Matrix (1999)",
        "Toy Story 2 (1999)",
        "Movie 99",
    ]
    assert catalog.years.tolist() == [0, 1999, 1999, 0]
    assert catalog.genre_names == ("Action", "Animation")
    assert catalog.genre_flags.tolist() == [[False, False], [True, False], [False, True], [False, False]]
    assert catalog.table.schema.equals(SCHEMA)
