"""Movies: found by title, and what is known of one of them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from matinee.defaults import DEFAULT_MIN_RATINGS
from matinee.recommender.filters import Filters
from matinee.service import border
from matinee.service.api.routing import Fields, route
from matinee.service.api.schemas import Answered, Asked, Genres, MovieFacts, MovieId, Year
from matinee.service.movie_search import find
from matinee.service.movies import described
from matinee.service.rows import FINE, movie_rows, position_of, rounded, with_columns
from matinee.service.serving import recommender

MAX_PAGE = 100
MAX_SIMILAR = 100


class MovieQuery(Asked):
    """Which movies, and which part of them."""

    query: Annotated[str, AfterValidator(border.search_text)] = Field(
        "", max_length=border.MOST_QUERY, description="beginnings of words of a title, in any order"
    )
    genre: Genres = ()
    year_from: Year | None = None
    year_to: Year | None = None
    limit: int = Field(20, ge=1, le=MAX_PAGE)
    cursor: MovieId | None = Field(None, description="`next` of the page before")


class MoviesPage(Answered):
    """A page of movies."""

    items: list[MovieFacts]
    next: str | None = Field(description="cursor of the next page, null on the last")


class HistogramBar(BaseModel):
    """How many people gave so many stars."""

    stars: float
    count: int


class Movie(Answered, MovieFacts):
    """All that is known of a movie."""

    tags: list[str] = Field(description="most used first")
    histogram: list[HistogramBar]


class SimilarQuery(Asked):
    """How long the list is."""

    n: int = Field(10, ge=1, le=MAX_SIMILAR)
    min_ratings: int = Field(DEFAULT_MIN_RATINGS, ge=0, description="only movies with at least so many ratings")


class SimilarMovie(MovieFacts):
    """A movie that people like alike."""

    similarity: float


class SimilarMovies(Answered):
    """The movies nearest to one."""

    note: str
    items: list[SimilarMovie]


@route("GET", "/movies", scope="read", summary="Search movies", query=MovieQuery, answer=MoviesPage)
def search_movies(query: MovieQuery) -> Fields:
    """Titles that have words beginning with all those of the query, best first.

    Accents, case and moved articles do not matter, and where few titles fit, small typos do not either. Without a
    query these are all movies, most rated first. Movies that were added since the data come behind those that fit as
    well.
    """
    filters = Filters.of(genre=query.genre, year_from=query.year_from, year_to=query.year_to, min_ratings=0)
    found = find(query.query, filters)
    start = 0 if query.cursor is None else found.behind(query.cursor)
    end = start + query.limit
    items = found.rows(start, end)
    return {"items": items, "next": items[-1]["movie"] if end < len(found) else None}


@route("GET", "/movies/{movie}", scope="read", summary="Get a movie", answer=Movie, problems=(404,))
def get_movie(movie: str) -> Fields:
    """Facts, and how many people gave how many stars."""
    return described(movie)


@route(
    "GET",
    "/movies/{movie}/similar",
    scope="read",
    summary="List similar movies",
    query=SimilarQuery,
    answer=SimilarMovies,
    problems=(404,),
)
def list_similar_movies(movie: str, query: SimilarQuery) -> Fields:
    """The movies nearest to this one, among those with enough ratings."""
    position_of(movie)
    found = recommender().similar(movie, query.n, min_ratings=query.min_ratings)
    rows = with_columns(movie_rows().of(found.positions), similarity=rounded(found.values["similarity"], FINE))
    return {"note": found.note, "items": rows}
