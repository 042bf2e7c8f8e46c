"""fetch, info, movies: get a data set and look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from matinee.cli.options import AsJson, reads_data
from matinee.cli.program import command

if TYPE_CHECKING:
    from matinee.dataset import Dataset

BAR_WIDTH = 40


def add_to(app: typer.Typer) -> None:
    command(app, "matinee info ml-latest-small")(info)
    command(app, "matinee movies ml-latest-small matrix --sort year")(movies)


@reads_data
def info(dataset: Dataset, as_json: AsJson = False) -> None:
    """Count a data set: users, movies, ratings, scale, dates, and how often each number of stars was given."""
    from matinee.cli import output
    from matinee.datasets import overview

    facts, stars = overview.describe(dataset), overview.stars(dataset)
    if as_json:
        output.document({**facts, "stars": list(stars)})
        return
    output.facts(facts)
    most = max(stars["share"], default=1.0)
    bars = ["#" * round(BAR_WIDTH * share / most) for share in stars["share"]]
    given = [f"{value:g}" for value in stars["stars"]]
    output.grid(["stars", "ratings", ""], zip(given, stars["ratings"], bars, strict=True))
    output.note(stars)


@reads_data
def movies(
    dataset: Dataset,
    query: Annotated[str | None, typer.Argument(metavar="QUERY", help="Words of the title, and the year.")] = None,
    genre: Annotated[str | None, typer.Option(metavar="G", help="Only this genre.")] = None,
    sort: Annotated[
        str | None, typer.Option(metavar="count|mean|year", help="By default the best match or most rated first.")
    ] = None,
    min_ratings: Annotated[
        int, typer.Option(metavar="N", min=0, help="Only movies with at least so many ratings.")
    ] = 0,
    n: Annotated[int, typer.Option("-n", "--top", metavar="N", min=1, help="How many movies.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List or search movies: id, title, genres, number of ratings and mean stars."""
    from matinee.cli import output
    from matinee.datasets import overview

    output.result(overview.movies(dataset, query, genre=genre, sort=sort, min_ratings=min_ratings, n=n), as_json)
