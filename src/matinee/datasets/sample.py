"""The sample: real films and simulated viewers, so that there is something to show without any download.

    films.csv, tags.csv  ->  what each viewer loves  ->  which films they saw  ->  stars and times  ->  Dataset

Titles, years and genres are facts. A film's tags name what people who love it also seek out, the first one most of
all; each tag belongs to a taste. `fame` (1 to 5) and `quality` (stars) are rough. Nobody gave these ratings: a viewer
has a few tastes, loves most of their tags and some others, minds two tastes, has seen famous films and loved ones,
and likes good films and loved ones better.

    U viewers, M films, T tags
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from matinee.catalog import SCHEMA, Catalog
from matinee.dataset import Dataset, Facts
from matinee.ids import Ids
from matinee.ratings import Ratings, Scale

Float = NDArray[np.float64]

SEED = 1895
N_VIEWERS = 900
SCALE = Scale(0.5, 5.0, 0.5)
FIRST_YEAR, LAST_YEAR = 2000, 2025
SECONDS_PER_YEAR = 31_556_952

TASTES = 3
"""How many tastes a viewer has; as many again less one are minded."""
LOVED_INSIDE, LOVED_OUTSIDE = 0.7, 0.01
"""The share of tags loved within and without one's tastes."""
LATER_TAG = 0.6
"""What a film's second and third tag count for; the first counts 1."""
FAME_SEEN, LOVE_SEEN = 0.85, 3.6
"""How much likelier (log odds) a film is to be seen for one more of fame, and for a loved tag."""
LOVE_STARS, VIEWER_SD, NOISE_SD = 0.9, 0.4, 0.6


@lru_cache(maxsize=1)
def load() -> Dataset:
    """Return the sample: 1,146 films of 1920 to 2024 and 79,317 simulated ratings of 900 viewers.

    Always the same; takes a tenth of a second. Whatever shows these ratings says that they are simulated.

    >>> ds = load()
    >>> ds.facts.simulated, len(ds.ratings.users), len(ds.catalog)
    (True, 900, 1146)
    """
    rng = np.random.Generator(np.random.PCG64(SEED))
    films, tag_names, taste_of_tag = _films(), *_tags()
    about = _about(films["tags"].to_pylist(), tag_names)
    fame, quality, year = (films[name].to_numpy() for name in ("fame", "quality", "year"))
    love = _loves(taste_of_tag, np.sqrt(about @ 2.0**fame), rng) @ about
    viewer, film = _seen(FAME_SEEN * fame + LOVE_SEEN * love, rng)
    stars = _stars(viewer, quality[film], love[viewer, film], rng)
    users, movies = Ids(str(number + 1) for number in range(N_VIEWERS)), Ids(films["movie"].chunk(0), is_sorted=True)
    ratings = Ratings.from_pairs(users, movies, viewer, film, stars, SCALE, _times(viewer, year[film], rng))
    facts = Facts("sample", "films.csv in the package", "Apache-2.0, as Matinee; simulated ratings", simulated=True)
    return Dataset(ratings, _catalog(films), facts)


def _films() -> pa.Table:
    """Return films.csv with lists for genres and tags and an id for each film, in the order of these ids."""
    films = _read("films.csv")
    for name in ("genres", "tags"):
        films = films.set_column(films.schema.get_field_index(name), name, pc.split_pattern(films[name], "|"))
    numbers = pa.array(range(1, len(films) + 1)).cast(pa.string())
    return films.append_column("movie", numbers).sort_by("movie").combine_chunks()


def _tags() -> tuple[list[str], NDArray[np.str_]]:
    """Return the names of all tags (T,) and the taste of each."""
    tags = _read("tags.csv")
    return tags["tag"].to_pylist(), np.array(tags["taste"].to_pylist())


def _read(name: str) -> pa.Table:
    with files("matinee.datasets").joinpath(name).open("rb") as source:
        return csv.read_csv(source)


def _about(tags: list[list[str]], names: list[str]) -> Float:
    """(T, M): 1 for a film's first tag, LATER_TAG for the others, 0 elsewhere."""
    row = {name: number for number, name in enumerate(names)}
    matrix = np.zeros((len(names), len(tags)))
    for film, of_film in enumerate(tags):
        for place, name in enumerate(of_film):
            matrix[row[name], film] = LATER_TAG if place else 1.0
    return matrix


def _loves(taste_of_tag: NDArray[np.str_], reach: Float, rng: np.random.Generator) -> Float:
    """(U, T) how much each viewer loves each tag: about 1, 0, or negative for a taste they mind."""
    tastes, of_tag = np.unique(taste_of_tag, return_inverse=True)
    likely = np.log(np.bincount(of_tag, reach)) / 2 + _gumbel(rng, (N_VIEWERS, len(tastes)))
    rank = np.argsort(np.argsort(-likely, axis=1), axis=1)[:, of_tag]
    loved = rng.random(rank.shape) < np.where(rank < TASTES, LOVED_INSIDE, LOVED_OUTSIDE)
    minded = rank > rank.max() - TASTES + 1
    love: Float = loved * (0.7 + 0.6 * rng.random(rank.shape)) - 0.7 * (minded & ~loved)
    return love


def _seen(interest: Float, rng: np.random.Generator) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(n,) viewers and (n,) films: at least 20 of each viewer, a few have seen hundreds."""
    how_many = 20 + np.exp(3.95 + 0.8 * _normal(rng, N_VIEWERS)).astype(np.int64)
    order = np.argsort(-interest - _gumbel(rng, interest.shape), axis=1)
    viewer, place = np.nonzero(np.arange(interest.shape[1]) < how_many[:, None])
    return viewer.astype(np.int32), order[viewer, place].astype(np.int32)


def _stars(viewer: NDArray[np.int32], quality: Float, love: Float, rng: np.random.Generator) -> NDArray[np.float32]:
    mood = VIEWER_SD * _normal(rng, N_VIEWERS)
    taste = LOVE_STARS * (np.clip(love, -1.0, 1.5) - 0.6)
    exact = quality - 0.4 + mood[viewer] + taste + NOISE_SD * _normal(rng, len(viewer))
    return SCALE.clip((np.rint(2 * exact) / 2).astype(np.float32))


def _times(viewer: NDArray[np.int32], year: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Seconds since 1970: within the viewer's own years, and after the film came out."""
    start = FIRST_YEAR + (LAST_YEAR - FIRST_YEAR) * rng.random(N_VIEWERS)
    earliest = np.maximum(start[viewer], year + 1)
    latest = np.maximum(np.minimum(start + 5 * rng.random(N_VIEWERS), LAST_YEAR)[viewer], earliest + 0.5)
    when = earliest + (latest - earliest) * rng.random(len(viewer))
    return ((when - 1970) * SECONDS_PER_YEAR).astype(np.int64)


# All draws come from `random()`: the one stream that every version of NumPy keeps.


def _normal(rng: np.random.Generator, size: int) -> Float:
    """Box-Muller."""
    drawn: Float = np.sqrt(-2 * np.log1p(-rng.random(size))) * np.cos(2 * np.pi * rng.random(size))
    return drawn


def _gumbel(rng: np.random.Generator, shape: tuple[int, int]) -> Float:
    return -np.log(-np.log(rng.random(shape)))


def _catalog(films: pa.Table) -> Catalog:
    none = pa.nulls(len(films), pa.string())
    columns = [*(films[name] for name in ("movie", "title", "year", "genres", "tags")), none, none]
    columns = [column.cast(field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    return Catalog(pa.Table.from_arrays(columns, schema=SCHEMA).combine_chunks())
