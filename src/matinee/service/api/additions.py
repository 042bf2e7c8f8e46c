"""Additions: movies that the data does not know yet; they can be rated at once, and are recommended after a refit."""

from __future__ import annotations

from typing import Annotated

import pyarrow.compute as pc
from pydantic import Field

from matinee.live import NewMovie
from matinee.live.checks import CONTROLS, LINE_PATTERN
from matinee.service.api.routing import Fields, route
from matinee.service.api.schemas import Answered, Asked, MovieFacts, Year
from matinee.service.movies import facts
from matinee.service.problems import ConflictError
from matinee.service.serving import live, recommender

MAX_TITLE = 500  # characters
MAX_GENRES = 50
TITLE_PATTERN = rf"^[^{CONTROLS}]*[^\s{CONTROLS}][^{CONTROLS}]*$"
MAX_GENRE = 100  # characters
Genre = Annotated[str, Field(min_length=1, max_length=MAX_GENRE, json_schema_extra={"pattern": rf"^[^|{CONTROLS}]+$"})]
OtherId = Annotated[str, Field(max_length=16, json_schema_extra={"pattern": LINE_PATTERN})]


class MovieDescription(Asked):
    """What is known of a new movie."""

    title: str = Field(min_length=1, max_length=MAX_TITLE, json_schema_extra={"pattern": TITLE_PATTERN})
    year: Year | None = None
    genres: list[Genre] = Field([], max_length=MAX_GENRES)
    imdb: OtherId | None = Field(None, examples=["tt0114709"])
    tmdb: OtherId | None = Field(None, examples=["862"])


class AddedMovie(Answered, MovieFacts):
    """A movie as it is known from now on."""


@route(
    "PUT", "/movies/{movie}",
    scope="admin", summary="Add a movie", body=MovieDescription, answer=AddedMovie,
    problems=(409,),
)  # fmt: skip
def add_movie(movie: str, body: MovieDescription) -> Fields:
    """It can be searched and rated at once, and is recommended after the next refit. The same id again replaces it."""
    if movie in recommender().dataset.catalog.ids:
        raise ConflictError(f"movie {movie!r} is in the data already; choose another id")
    new = NewMovie(movie, **{**body.model_dump(), "genres": tuple(body.genres)})
    other = _of_the_data(body.imdb) or live().add_movie(new)
    if other is not None:
        raise ConflictError(f"movie {other!r} has the IMDb id {body.imdb!r} already; rate that one, or leave imdb out")
    return facts([movie])[0]


def _of_the_data(imdb: str | None) -> str | None:
    """Return the movie of the data with this IMDb id, by which people's files name movies."""
    catalog = recommender().dataset.catalog
    position = pc.index(catalog.table["imdb"], imdb).as_py() if imdb else -1
    return catalog.ids[position] if position >= 0 else None
