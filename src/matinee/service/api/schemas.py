"""Shapes of what goes over the border: models by which it is checked and that the OpenAPI document describes."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from matinee.errors import UsageError
from matinee.filter_options import FILTERS, FilterOption
from matinee.live.checks import ID_PATTERN
from matinee.live.schema import MAX_ID


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)  # in JSON, 4.0 is a whole number too
Id = Annotated[str, Field(min_length=1, max_length=MAX_ID, json_schema_extra={"pattern": ID_PATTERN})]
IdAsKey = Annotated[str, Field(min_length=1, max_length=MAX_ID)]  # an id in an object; a pattern would free other names
MovieId = Annotated[Id, Field(examples=["1"])]
Year = Annotated[int, Field(ge=1, le=9999), WHOLE]
Genres = Annotated[tuple[str, ...], Field(description="may be given several times: any of them")]


class Asked(BaseModel):
    """A query or a body: nothing in it may be unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _query_field(option: FilterOption) -> Any:
    """Return the field by which a query takes a filter."""
    if option.several:
        return tuple[option.kind, ...], Field((), description=option.help)  # type: ignore[name-defined]
    kind = Annotated[option.kind, Field(ge=option.low, le=option.high), WHOLE] if option.kind is int else option.kind
    return kind | None, Field(None, description=option.help, examples=[*option.examples] or None)


FilterQuery: Any = create_model(
    "FilterQuery", __base__=Asked, **{name: _query_field(option) for name, option in FILTERS.items()}
)
"""The filters of lists, as FILTERS declares them."""


class ScaleQuery(Asked):
    """The scale of the stars in a body, as messages name it; the body may name it instead."""

    scale: str | None = Field(None, description="of the stars in the body, LOW:HIGH such as 1:10")

    def scale_of(self, body: str | None) -> str | None:
        """Return the scale that the query or the body names. Raises UsageError where they differ."""
        named = {one for one in (self.scale, body) if one is not None}
        if len(named) > 1:
            raise UsageError(f"the query gives the scale {self.scale!r:.40}, the body {body!r:.40}; give one of them")
        return named.pop() if named else None


class Answered(BaseModel):
    """An answer: it names the snapshot it came from."""

    snapshot: str = Field(description="id of the snapshot that answered")


class AboutUser(Answered):
    """An answer about one user, as of one revision of their ratings."""

    user: str
    revision: int = Field(ge=0, description="how many writes have changed something; part of the ETag")


class MovieFacts(BaseModel):
    """What is known of a movie."""

    movie: str = Field(description="its id", examples=["1"])
    title: str
    year: int | None
    genres: list[str]
    imdb: str | None = Field(description="id at IMDb", examples=["tt0114709"])
    tmdb: str | None = Field(description="id at TMDB", examples=["862"])
    ratings: int = Field(ge=0, description="how many people rated it")
    mean: float | None = Field(description="their mean stars, null without ratings")


class RecommendationReason(BaseModel):
    """A rated movie, and what it adds to the score that orders."""

    movie: str
    title: str
    contribution: float


class PredictedMovie(MovieFacts):
    """A movie with the stars this person would give."""

    stars: float
    low: float | None = Field(description="of the interval that holds 90 % of ratings")
    high: float | None


class ListedMovie(PredictedMovie):
    """A movie of a list."""

    match: float | None = Field(description="the ranker's score; null where stars order")
    why: list[RecommendationReason] | None = Field(None, description="only where asked for")


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str = Field(description="what is wrong and what to do, for a person")
