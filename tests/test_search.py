from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import matinee as mt
from matinee.search import BEGINS, CONTAINS, EXACT, NOT_FOUND, SIMILAR, TitleIndex, letters_of, prefix_distances

TITLES = {
    "The Matrix": 1999,
    "The Matrix Reloaded": 2003,
    "Ghost": 1990,
    "Amélie (Le fabuleux destin d'Amélie Poulain)": 2001,
    "The Legend of Good Night": 0,
    "La La Land": 2016,
    "1984": 1984,
    "Schindler's List": 1993,
    "Spider-Man 2": 2004,
    "The Amazing Spider-Man": 2012,
    "Superman": 1978,
    "WALL·E": 2008,
    "Walled In": 2009,
    "E.T. the Extra-Terrestrial": 1982,
}


@pytest.fixture(scope="module")
def index() -> TitleIndex:
    return TitleIndex.of(list(TITLES), np.array(list(TITLES.values())))


def found(index: TitleIndex, query: str) -> dict[str, int]:
    grades = index.grades(query).tolist()
    return {title: grade for title, grade in zip(TITLES, grades, strict=True) if grade != NOT_FOUND}


@pytest.mark.parametrize("query", ["matrix", "the matrix", "Matrix, The", "MATRIX", "mátrix"])
def test_a_whole_title__is_exact_however_it_is_written(index: TitleIndex, query: str) -> None:
    assert found(index, query) == {"The Matrix": EXACT, "The Matrix Reloaded": BEGINS}


@pytest.mark.parametrize("query", ["rel mat", "reloaded matrix", "mat rel", "2003 matrix"])
def test_words__are_found_by_their_beginnings_in_any_order(index: TitleIndex, query: str) -> None:
    assert found(index, query)["The Matrix Reloaded"] in (BEGINS, CONTAINS)


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("matirx", "The Matrix"),
        ("matrx", "The Matrix"),
        ("mattrix", "The Matrix"),
        ("natrix", "The Matrix"),
        ("shindlers", "Schindler's List"),
        ("schnidler list", "Schindler's List"),
        ("gohst", "Ghost"),
        ("amelei poula", "Amélie (Le fabuleux destin d'Amélie Poulain)"),
    ],
)
def test_small_typos__are_forgiven(index: TitleIndex, query: str, title: str) -> None:
    assert found(index, query)[title] == SIMILAR


@pytest.mark.parametrize(
    ("query", "grades"),
    [
        ("walle", {"WALL·E": EXACT, "Walled In": BEGINS}),
        ("wall-e", {"WALL·E": EXACT, "Walled In": CONTAINS}),
        ("thematrix", {"The Matrix": EXACT, "The Matrix Reloaded": CONTAINS}),
        ("spiderman", {"Spider-Man 2": CONTAINS, "The Amazing Spider-Man": CONTAINS}),
        ("the spiderman2", {"Spider-Man 2": EXACT}),
        ("super man", {"Superman": EXACT}),
        ("extraterr", {"E.T. the Extra-Terrestrial": CONTAINS}),
        ("et", {"E.T. the Extra-Terrestrial": BEGINS}),
        ("lalaland", {"La La Land": EXACT}),
    ],
)
def test_words__are_found_written_as_one_or_apart(index: TitleIndex, query: str, grades: dict[str, int]) -> None:
    assert found(index, query) == grades


def test_two_letters_swapped__are_forgiven_in_short_words_too(index: TitleIndex) -> None:
    assert found(index, "teh matrix") == {"The Matrix": SIMILAR, "The Matrix Reloaded": SIMILAR}
    assert found(index, "ni walled") == {"Walled In": SIMILAR}
    assert found(index, "xx walled") == {}


def test_short_words_and_other_words__are_not_taken_for_typos(index: TitleIndex) -> None:
    assert found(index, "lo") == {}
    assert found(index, "metropolis") == {}
    assert found(index, "matrix ghost") == {}


def test_alternative_titles_articles_and_numbers__are_found(index: TitleIndex) -> None:
    assert found(index, "le fabuleux destin d'Amélie Poulain")[list(TITLES)[3]] == EXACT
    assert found(index, "la la land") == {"La La Land": EXACT}
    assert found(index, "1984")["1984"] == EXACT
    assert "The Legend of Good Night" in found(index, "the")


@pytest.mark.parametrize("query", ["", "  ", "?!", "\0"])
def test_a_query_without_words__finds_nothing(index: TitleIndex, query: str) -> None:
    assert found(index, query) == {}


def alignment_distance(a: str, b: str) -> int:
    rows = {(i, j): i + j for i in range(len(a) + 1) for j in range(len(b) + 1) if i == 0 or j == 0}
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            best = min(rows[i - 1, j] + 1, rows[i, j - 1] + 1, rows[i - 1, j - 1] + (a[i - 1] != b[j - 1]))
            if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                best = min(best, rows[i - 2, j - 2] + 1)
            rows[i, j] = best
    return rows[len(a), len(b)]


@given(st.text("abc", min_size=1, max_size=9), st.lists(st.text("abc", min_size=1, max_size=11), min_size=1))
def test_prefix_distances__equal_those_counted_letter_by_letter_up_to_two(word: str, words: list[str]) -> None:
    letters = letters_of(words)
    counted = [min(alignment_distance(word, other[:end]) for end in range(len(other) + 1)) for other in words]
    assert np.minimum(prefix_distances(word, letters), 3).tolist() == [min(distance, 3) for distance in counted]


@pytest.mark.data
def test_every_movie__is_found_by_its_title_with_a_typo(movielens: Callable[[str], Path]) -> None:
    catalog = mt.load(movielens("ml-latest-small")).catalog
    draw = np.random.default_rng(0)
    for movie in draw.integers(len(catalog), size=100).tolist():
        title = str(catalog.table["title"][movie])
        assert movie in catalog.search(title, limit=None)
        words = [word for word in title.split(" (")[0].split() if len(word) > 5 and word.isascii() and word.isalpha()]
        for word in words[:1]:
            assert movie in catalog.search(
                title.split(" (")[0].replace(word, word[0] + word[2] + word[1] + word[3:]), None
            )
