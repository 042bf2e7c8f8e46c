"""fetch, info, movies: get a data set and look at it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from matinee.cli.options import AsJson, Data, reads_data
from matinee.cli.program import command
from matinee.remedies import at_the_command_line

BAR_WIDTH = 40


def add_to(app: typer.Typer) -> None:
    command(app, "matinee fetch ml-latest-small --to data")(fetch)
    command(app, "matinee info ml-latest-small")(info)
    command(app, "matinee movies ml-latest-small matrix --sort year")(movies)


def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The release: ml-latest-small, ml-32m, ml-1m, ...")],
    to: Annotated[Path, typer.Option(metavar="DIR", help="Folder to put it in.")] = Path(),
    source: Annotated[
        str | None, typer.Option("--from", metavar="FILE|URL", help="The zip on a mirror, or one that you have.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(metavar="S", min=0.1, help="Give up after this many seconds without data.")
    ] = 30.0,
    as_json: AsJson = False,
) -> None:
    """Download a MovieLens release from GroupLens, check and unpack it; continues an interrupted download."""
    from matinee.cli import output
    from matinee.datasets.fetch import fetch

    with output.bytes_so_far(name) as progress:
        found = fetch(name, to, source, timeout=timeout, progress=progress)
    if as_json:
        return output.document({"folder": str(found.folder), "source": found.source, "verified": found.verified})
    checked = ", checksum verified" if found.verified else ""
    return output.line(f"{found.folder} is ready, from {found.source}{checked}")


@reads_data
def info(data: Data, as_json: AsJson = False) -> None:
    """Count a data set: users, movies, ratings, scale, dates, and how often each number of stars occurs."""
    from matinee.cli import output
    from matinee.datasets import overview

    dataset = data.read()
    facts, stars = overview.describe(dataset), overview.stars(dataset)
    for finding in facts["findings"]:
        finding["remedy"] = at_the_command_line(finding["remedy"])
    if as_json:
        output.document({**facts, "stars": list(stars)})
        return
    findings = facts.pop("findings")
    output.facts(facts | {"columns": ", ".join(f"{what}: {column}" for what, column in facts["columns"].items())})
    most = max(stars["share"], default=1.0)
    bars = ["#" * round(BAR_WIDTH * share / most) for share in stars["share"]]
    given = [f"{value:g}" for value in stars["stars"]]
    output.grid(["stars", "ratings", ""], zip(given, stars["ratings"], bars, strict=True))
    output.note(stars)
    for finding in findings:
        output.line(f"warning: {finding['sentence']}; {finding['remedy']}")


@reads_data
def movies(
    data: Data,
    query: Annotated[str | None, typer.Argument(metavar="QUERY", help="Words of the title, and the year.")] = None,
    genre: Annotated[str | None, typer.Option(metavar="G", help="Only this genre.")] = None,
    sort: Annotated[
        str | None, typer.Option(metavar="count|mean|year", help="By default the best match or most rated first.")
    ] = None,
    min_ratings: Annotated[
        int, typer.Option(metavar="N", min=0, help="Only movies with at least this many ratings.")
    ] = 0,
    n: Annotated[int, typer.Option("-n", "--top", metavar="N", min=1, help="How many movies.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List or search movies: id, title, genres, number of ratings and mean stars."""
    from matinee.cli import output
    from matinee.datasets import overview

    output.result(
        overview.movies(data.read_aloud(), query, genre=genre, sort=sort, min_ratings=min_ratings, n=n), as_json
    )
