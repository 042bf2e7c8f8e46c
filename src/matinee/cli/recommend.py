"""recommend, predict, similar: ask a snapshot of a store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from matinee.cli import options
from matinee.cli.histories import read_person
from matinee.cli.options import AsJson, ScaleOption, StoreOption
from matinee.cli.program import command
from matinee.defaults import DEFAULT_MIN_RATINGS, DEFAULT_N
from matinee.errors import UnknownUserError, UsageError

if TYPE_CHECKING:
    from matinee.recommender import Order, Recommender

UserOption = Annotated[str | None, typer.Option("--user", metavar="ID", help="A user of the data, or a visitor.")]
RatingsFile = Annotated[
    Path | None,
    typer.Option(
        "--ratings",
        metavar="FILE",
        help="Lines MOVIE,STARS, where MOVIE is an id or a title; or what another site exports.",
    ),
]


def add_to(app: typer.Typer) -> None:
    command(app, "matinee recommend --user 1 -n 10 --genre Drama --year-from 1990")(recommend)
    command(app, 'matinee predict --user 1 "Quiz Show" 260')(predict)
    command(app, 'matinee similar "Toy Story"')(similar)


@options.takes_filters
def recommend(
    *,
    user: UserOption = None,
    ratings: RatingsFile = None,
    store: StoreOption = options.DEFAULT_STORE,
    n: options.Top = DEFAULT_N,
    filters: options.FilterValues,
    order: options.OrderOption = "match",
    explain: Annotated[bool, typer.Option("--explain", help="Name the rated movies that contribute most.")] = False,
    scale: ScaleOption = None,
    snapshot: options.SnapshotOption = None,
    as_json: AsJson = False,
) -> None:
    """List what one person should watch next, never a movie they rated."""
    options.one_of("--order", order, ("match", "stars"))
    with _asked(store, snapshot, user, ratings, scale) as (recommender, whom):
        table = recommender.recommend(
            **whom,
            n=n,
            **filters,
            order=cast("Order", order),
            explain=explain,
            scale=scale,
        )
    _show(table, as_json, recommender)


def predict(
    movies: Annotated[list[str], typer.Argument(metavar="MOVIE...", help="Ids or titles.")],
    user: UserOption = None,
    ratings: RatingsFile = None,
    store: StoreOption = options.DEFAULT_STORE,
    scale: ScaleOption = None,
    snapshot: options.SnapshotOption = None,
    as_json: AsJson = False,
) -> None:
    """Predict the stars that one person would give to these movies, with a 90 % interval."""
    with _asked(store, snapshot, user, ratings, scale) as (recommender, whom):
        table = recommender.predict(**whom, movies=movies, scale=scale)
    _show(table, as_json, recommender)


def similar(
    movie: Annotated[str, typer.Argument(metavar="MOVIE", help="Id or title.")],
    store: StoreOption = options.DEFAULT_STORE,
    n: options.Top = 10,
    min_ratings: options.MinRatings = DEFAULT_MIN_RATINGS,
    snapshot: options.SnapshotOption = None,
    as_json: AsJson = False,
) -> None:
    """List the movies nearest to this one."""
    from matinee.recommender import Recommender

    recommender = Recommender.open(store, snapshot=snapshot)
    _show(recommender.similar(movie, n=n, min_ratings=min_ratings), as_json, recommender)


@contextmanager
def _asked(
    store: Path, snapshot: str | None, user: str | None, ratings: Path | None, scale: str | None
) -> Iterator[tuple[Recommender, dict[str, Any]]]:
    """Open a store with its live ratings, if any, and return it with the person of the options."""
    from matinee.cli import output
    from matinee.live import FILE_NAME, LiveRatings
    from matinee.recommender import Recommender

    if (user is None) == (ratings is None):
        raise UsageError(
            "name one person: --user ID, or --ratings FILE.csv with lines MOVIE,STARS or what another site exports"
        )
    if ratings is not None:
        opened = Recommender.open(store, snapshot=snapshot)
        person, lines = read_person(ratings, opened.dataset, scale)
        for line in lines:
            output.remark(line)
        yield opened, {"ratings": person}
    elif not (store / FILE_NAME).exists():
        yield Recommender.open(store, snapshot=snapshot), {"user": user}
    else:
        opened = Recommender.open(store, snapshot=snapshot)
        with LiveRatings(store / FILE_NAME) as live:
            if opened.dataset.ratings.get(str(user)) is None and not live.read(str(user)).revision:
                raise UnknownUserError(str(user))
            yield Recommender.open(store, snapshot=snapshot, live=live), {"user": user}


def _show(table: Any, as_json: bool, recommender: Recommender) -> None:
    from matinee.cli import output

    output.result(table, as_json, snapshot=recommender.snapshot_id)
