"""Options and arguments that several commands share, and the parsing of their values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import date
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from matinee.errors import StoreError, UsageError
from matinee.filter_options import FILTERS, FilterOption
from matinee.remedies import at_the_command_line

if TYPE_CHECKING:
    from matinee.dataset import Dataset
    from matinee.live import LiveRatings

UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
DEFAULT_STORE = Path("matinee-store")
FilterValues = dict[str, Any]
"""The value of each of FILTERS, None without one."""

StoreOption = Annotated[Path, typer.Option("--store", metavar="DIR", help="Folder of snapshots and live ratings.")]
ScaleOption = Annotated[
    str | None, typer.Option("--scale", metavar="LOW:HIGH", help="Scale of the stars read and printed, such as 1:10.")
]
Seed = Annotated[
    int, typer.Option(metavar="N", min=0, help="The same seed gives the same result, with any number of threads.")
]
Threads = Annotated[int | None, typer.Option(metavar="N", min=1, help="Threads to use, by default one per core.")]
SnapshotOption = Annotated[
    str | None, typer.Option("--snapshot", metavar="ID", help="Another snapshot than the current one.")
]
Top = Annotated[int, typer.Option("-n", "--top", metavar="N", min=1, help="How many movies.")]
MinRatings = Annotated[int, typer.Option(metavar="N", min=0, help="Only movies with at least this many ratings.")]
OrderOption = Annotated[
    str, typer.Option("--order", metavar="match|stars", help="By the ranker's match, or by predicted stars.")
]
LiveOption = Annotated[
    str | None,
    typer.Option("--live", metavar="URL", help="Database of live ratings; by default live.sqlite3 in the store."),
]
Keep = Annotated[int, typer.Option("--keep", metavar="N", min=1, help="How many snapshots stay, the newest.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="MODEL.SETTING=VALUE", help="Any other setting; repeat for more.")
]


@dataclass(frozen=True)
class Data:
    """DATA and the options for reading it, the same in every command."""

    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA", help="Folder or zip of a MovieLens release, CSV or Parquet file, name, or store."
        ),
    ]
    user: Annotated[
        str | None, typer.Option(metavar="COLUMN", envvar="MATINEE_USER_COLUMN", help="Column of users, for a table.")
    ] = None
    movie: Annotated[
        str | None, typer.Option(metavar="COLUMN", envvar="MATINEE_MOVIE_COLUMN", help="Column of movies, for a table.")
    ] = None
    rating: Annotated[
        str | None, typer.Option(metavar="COLUMN", envvar="MATINEE_RATING_COLUMN", help="Column of stars, for a table.")
    ] = None
    timestamp: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", envvar="MATINEE_TIMESTAMP_COLUMN", help="Column of times, for a table."),
    ] = None
    columns: Annotated[
        str | None, typer.Option(metavar="NAME,NAME,...", help="Names of the columns of a file without header.")
    ] = None
    movies: Annotated[str | None, typer.Option(metavar="FILE", help="Titles and genres, for a table.")] = None
    movie_columns: Annotated[
        str | None,
        typer.Option(
            metavar="movie=COLUMN,...", help="Columns of FILE: movie, title, year, release, genres, imdb, tmdb."
        ),
    ] = None
    scale: Annotated[
        str | None,
        typer.Option(
            metavar="LOW:HIGH", envvar="MATINEE_DATA_SCALE", help="Scale of the stars, if the data does not define it."
        ),
    ] = None
    not_rated: Annotated[
        float | None, typer.Option(metavar="X", help='Stars that mean "not rated", such as -1: leave these rows out.')
    ] = None
    on_bad_rows: Annotated[
        str, typer.Option(metavar="error|skip", help="Stop at a row that breaks a rule, or skip and count it.")
    ] = "error"
    skip_at_most: Annotated[
        float, typer.Option(metavar="SHARE", min=0, max=1, help="Stop where a larger share of all rows is skipped.")
    ] = 0.05

    def read(self) -> Dataset:
        """Return the data set; of a store, that of its current snapshot."""
        from matinee import datasets

        one_of("--on-bad-rows", self.on_bad_rows, ("error", "skip"))
        options: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "data"}
        if is_store(self.data):
            return _of_store(self.data, options)
        return datasets.read(self.data, **options)

    def read_aloud(self) -> Dataset:
        """Return the same, and say on standard error what in it is probably not meant."""
        from matinee.cli import output

        dataset = self.read()
        for finding in dataset.facts.findings:
            output.remark(f"warning: {at_the_command_line(str(finding))}")
        return dataset


def is_store(path: str | Path) -> bool:
    """Return whether this is a folder with snapshots."""
    return Path(path, "snapshots").is_dir()


def _of_store(store: str, options: dict[str, Any]) -> Dataset:
    from matinee.snapshot import Store

    defaults = {one.name: one.default for one in fields(Data)}
    for name, value in options.items():
        if value != defaults[name]:
            raise UsageError(
                f"--{name.replace('_', '-')} is for reading files, and {store} is a store; leave the option out"
            )
    return Store(store).open().dataset


def _filter_option(option: FilterOption) -> Any:
    """Return the annotation of a command's parameter for a filter."""
    kind = str if option.kind is date else option.kind
    declared = typer.Option(metavar=option.metavar, min=option.low, max=option.high, help=option.help)
    return Annotated[list[kind] | None if option.several else kind | None, declared]  # type: ignore[valid-type]


def takes_filters(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take the options of FILTERS; its parameter `filters` is all of them, by name."""
    own = [one for one in _parameters(command) if one.name != "filters"]
    options = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=_filter_option(option))
        for name, option in FILTERS.items()
    ]

    @wraps(command)
    def run(**given: Any) -> None:
        command(filters={name: given.pop(name) for name in FILTERS}, **given)

    run.__signature__ = Signature([*own, *options])  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in (*own, *options)}
    return run


def reads_data(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take DATA and its options; its first parameter is all of them as one `Data`.

    Where that parameter has a default, DATA may be left out.
    """
    given_as, *own = _parameters(command)
    data, *reading = _parameters(Data)
    if given_as.default is not Parameter.empty:
        data = data.replace(default="")

    @wraps(command)
    def run(**given: Any) -> None:
        command(Data(**{one.name: given.pop(one.name) for one in (data, *reading)}), **given)

    run.__signature__ = Signature([data, *own, *reading])  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in (data, *own, *reading)}
    return run


def _parameters(function: Callable[..., Any]) -> list[Parameter]:
    hints = get_type_hints(function, include_extras=True)
    found = signature(function).parameters.values()
    return [one.replace(annotation=hints[one.name], kind=Parameter.KEYWORD_ONLY) for one in found]


@contextmanager
def live_ratings(store: Path, live: str | None) -> Iterator[LiveRatings]:
    """Open the live ratings of a store. Raises StoreError if the store does not exist."""
    from matinee.live import FILE_NAME, LiveRatings

    if live is None and not store.is_dir():
        raise StoreError(f"no store {store}; name one with --store, or make it with `matinee train`")
    with LiveRatings(live if live is not None else store / FILE_NAME) as opened:
        yield opened


def one_of(option: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raise UsageError unless the value is one of these."""
    if value not in allowed:
        raise UsageError(f"{option} must be {' or '.join(allowed)}, not {value!r}")


def seconds(option: str, text: str | None) -> float | None:
    """Read "90s", "10m", "6h" or "1d".

    >>> seconds("--refit-every", "10m"), seconds("--refit-every", "1.5h"), seconds("--refit-every", None)
    (600.0, 5400.0, None)
    """
    if not text:
        return None
    try:
        return float(text[:-1]) * UNITS[text[-1]]
    except (KeyError, ValueError):
        raise UsageError(f"{option} takes a time such as 90s, 10m, 6h or 1d, not {text!r}") from None


def numbers(option: str, text: str | None, kind: type[int] | type[float]) -> list[Any]:
    """Read "4,8,12".

    >>> numbers("--ranks", "4,8,12", int), numbers("--regs", None, float)
    ([4, 8, 12], [])
    """
    try:
        return [kind(part) for part in text.split(",")] if text else []
    except ValueError:
        raise UsageError(f"{option} takes numbers with commas between them, such as 4,8,12, not {text!r}") from None
