from __future__ import annotations

import hashlib
import inspect
import subprocess
import sys

import numpy as np
import pytest

from matinee import datasets
from matinee.catalog import SCHEMA
from matinee.dataset import Dataset
from matinee.datasets import sample
from matinee.models.ease import Ease, EaseModel

MOVIELENS_GENRES = {
    *(
        "Action",
        "Adventure",
        "Animation",
        "Children",
        "Comedy",
        "Crime",
        "Documentary",
        "Drama",
        "Fantasy",
        "Film-Noir",
    ),
    *("Horror", "IMAX", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
}

NEIGHBOURS = {
    "Star Wars: Episode IV - A New Hope (1977)": [
        "Star Wars: Episode V - The Empire Strikes Back (1980)",
        "Star Wars: Episode VI - Return of the Jedi (1983)",
    ],
    "The Godfather (1972)": ["The Godfather Part II (1974)", "Goodfellas (1990)"],
    "Toy Story (1995)": ["Toy Story 2 (1999)", "Monsters, Inc. (2001)", "Up (2009)"],
    "My Neighbor Totoro (1988)": ["Spirited Away (2001)", "Princess Mononoke (1997)", "Howl's Moving Castle (2004)"],
    "The Lord of the Rings: The Fellowship of the Ring (2001)": [
        "The Lord of the Rings: The Two Towers (2002)",
        "The Lord of the Rings: The Return of the King (2003)",
    ],
    "Goldfinger (1964)": ["Casino Royale (2006)", "Skyfall (2012)"],
    "Psycho (1960)": ["The Birds (1963)", "Rear Window (1954)"],
    "Seven Samurai (1954)": ["Ran (1985)", "Rashomon (1950)", "Yojimbo (1961)"],
    "Scream (1996)": ["Halloween (1978)", "The Texas Chain Saw Massacre (1974)"],
    "The Lion King (1994)": ["Aladdin (1992)", "Beauty and the Beast (1991)", "The Little Mermaid (1989)"],
    "Pulp Fiction (1994)": ["Reservoir Dogs (1992)", "Kill Bill: Vol. 1 (2003)"],
    "Alien (1979)": ["Aliens (1986)", "The Thing (1982)"],
    "The Dark Knight (2008)": ["Batman Begins (2005)", "The Dark Knight Rises (2012)"],
    "Harry Potter and the Prisoner of Azkaban (2004)": [
        "Harry Potter and the Sorcerer's Stone (2001)",
        "Harry Potter and the Order of the Phoenix (2007)",
    ],
    "Raiders of the Lost Ark (1981)": [
        "Indiana Jones and the Last Crusade (1989)",
        "Indiana Jones and the Temple of Doom (1984)",
    ],
    "The Good, the Bad and the Ugly (1966)": ["Once Upon a Time in the West (1968)", "A Fistful of Dollars (1964)"],
    "Parasite (2019)": ["Oldboy (2003)", "The Handmaiden (2016)"],
    "When Harry Met Sally... (1989)": ["Pretty Woman (1990)", "Breakfast at Tiffany's (1961)"],
    "Blade Runner (1982)": ["Blade Runner 2049 (2017)", "The Matrix (1999)"],
    "Platoon (1986)": ["Apocalypse Now (1979)", "Good Morning, Vietnam (1987)"],
    "The Avengers (2012)": ["Avengers: Endgame (2019)", "Iron Man (2008)"],
    "Airplane! (1980)": ["Blazing Saddles (1974)", "Young Frankenstein (1974)"],
    "Schindler's List (1993)": ["The Pianist (2002)", "Life Is Beautiful (1997)"],
    "Persona (1966)": ["The Seventh Seal (1957)", "Through a Glass Darkly (1961)"],
    "Double Indemnity (1944)": ["The Maltese Falcon (1941)", "The Third Man (1949)"],
    "Singin' in the Rain (1952)": ["La La Land (2016)", "My Fair Lady (1964)"],
    "Shaun of the Dead (2004)": ["Hot Fuzz (2007)", "Scott Pilgrim vs. the World (2010)"],
    "The Silence of the Lambs (1991)": ["Se7en (1995)", "Zodiac (2007)"],
    "Back to the Future (1985)": ["Back to the Future Part II (1989)", "Looper (2012)"],
    "12 Angry Men (1957)": ["To Kill a Mockingbird (1962)", "A Few Good Men (1992)"],
    "The Grand Budapest Hotel (2014)": ["Moonrise Kingdom (2012)", "The Royal Tenenbaums (2001)"],
    "Fargo (1996)": ["No Country for Old Men (2007)", "The Big Lebowski (1998)"],
    "Memento (2000)": ["Inception (2010)", "The Prestige (2006)"],
    "Rocky (1976)": ["Cinderella Man (2005)", "Warrior (2011)"],
    "Ferris Bueller's Day Off (1986)": ["The Breakfast Club (1985)", "Sixteen Candles (1984)"],
}


@pytest.fixture(scope="module")
def ds() -> Dataset:
    return sample.load()


@pytest.fixture(scope="module")
def titles(ds: Dataset) -> list[str]:
    table = ds.catalog.table
    return [f"{title} ({year})" for title, year in zip(*(table[c].to_pylist() for c in ("title", "year")), strict=True)]


@pytest.fixture(scope="module")
def ranker(ds: Dataset) -> EaseModel:
    return Ease().fit(ds.ratings, ds.catalog, threads=2)


def test_the_films__are_many_distinct_and_from_eleven_decades(ds: Dataset, titles: list[str]) -> None:
    years = ds.catalog.table["year"].to_numpy()
    per_decade = np.bincount(years // 10)[192:]
    assert len(titles) >= 600
    assert len(set(titles)) == len(titles)
    assert 1915 < years.min() < years.max() < 2025
    assert len(per_decade) == 11
    assert per_decade.min() >= 10


def test_every_film__has_genres_of_movielens_and_a_tag(ds: Dataset) -> None:
    assert ds.catalog.table.schema == SCHEMA
    for genres in ds.catalog.table["genres"].to_pylist():
        assert genres
        assert set(genres) <= MOVIELENS_GENRES
        assert genres == sorted(set(genres))
    assert all(ds.catalog.table["tags"].to_pylist())


def test_every_tag__belongs_to_a_taste_and_to_at_least_three_films(ds: Dataset) -> None:
    used, counts = np.unique([tag for tags in ds.catalog.table["tags"].to_pylist() for tag in tags], return_counts=True)
    names, _ = sample._tags()
    assert sorted(names) == used.tolist()
    assert counts.min() >= 3


def test_the_ratings__are_simulated_plenty_and_in_half_stars(ds: Dataset) -> None:
    assert ds.facts.simulated
    assert "simulated" in ds.facts.licence
    assert ds.ratings.n >= 20_000
    assert len(ds.ratings.users) == 900
    assert ds.ratings.by_user.counts.min() >= 20
    assert set(np.unique(ds.ratings.by_user.values)) == set(np.arange(0.5, 5.1, 0.5))
    assert 3.4 < ds.ratings.mean < 3.7


def test_the_name_sample__is_a_data_set(ds: Dataset) -> None:
    assert datasets.load("sample") is ds


def test_famous_films__are_rated_more_and_good_ones_higher(ds: Dataset) -> None:
    films = sample._films()
    counts, means = ds.ratings.movie_counts, ds.ratings.movie_means
    rated = counts >= 25
    assert np.corrcoef(films["fame"].to_numpy(), counts)[0, 1] > 0.7
    assert np.corrcoef(films["quality"].to_numpy()[rated], means[rated])[0, 1] > 0.4


def test_nobody__rates_a_film_before_it_came_out(ds: Dataset) -> None:
    assert ds.ratings.timestamps is not None
    rated_in = ds.ratings.timestamps.astype("datetime64[s]").astype("datetime64[Y]").astype(int) + 1970
    assert np.all(rated_in >= ds.catalog.table["year"].to_numpy()[ds.ratings.by_user.indices])
    assert rated_in.max() <= 2025


def fingerprint() -> str:
    ratings = sample.load().ratings
    assert ratings.timestamps is not None
    arrays = (ratings.by_user.indices, ratings.by_user.values, ratings.timestamps)
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def test_load__gives_the_same_bits_in_every_process() -> None:
    program = (
        f"import hashlib\nfrom matinee.datasets import sample\n{inspect.getsource(fingerprint)}\nprint(fingerprint())"
    )
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == fingerprint()


@pytest.mark.parametrize("film", NEIGHBOURS)
def test_the_five_nearest__contain_those_a_film_lover_expects(
    film: str, ds: Dataset, titles: list[str], ranker: EaseModel
) -> None:
    nearest = np.argsort(-ranker.similar(titles.index(film)))[:5]
    assert set(NEIGHBOURS[film]) <= {titles[movie] for movie in nearest}
