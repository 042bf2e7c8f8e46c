"""Clusters: the options that say where Spark runs, and DATA as the executors read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from matinee.cli import options
from matinee.cli.options import Data
from matinee.errors import UsageError

if TYPE_CHECKING:
    from matinee.spark.engine import Cluster, Source

Engine = Annotated[
    str, typer.Option("--engine", metavar="local|spark", help="Run on this machine, or on Spark for larger data.")
]
Master = Annotated[
    str | None, typer.Option(metavar="URL", help="Spark's: local[N], spark://HOST:PORT, yarn or k8s://HOST:PORT.")
]
SparkConf = Annotated[list[str] | None, typer.Option(metavar="K=V", help="A Spark setting; repeat for more.")]
Histories = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Where Spark writes users' ratings, instead of the store.")
]


def asked(engine: str, **spark: Any) -> bool:
    """Return whether the engine is Spark. Raises UsageError for its options without it."""
    options.one_of("--engine", engine, ("local", "spark"))
    given = [name for name, value in spark.items() if value]
    if engine == "local" and given:
        raise UsageError(f"--{given[0].replace('_', '-')} needs --engine spark")
    return engine == "spark"


def cluster(
    master: str | None, conf: Sequence[str] | None, settings: Sequence[str] | None
) -> tuple[Cluster, list[str]]:
    """Return the cluster that options describe, and the settings of --set that are not Spark's."""
    from matinee.models.registry import with_settings
    from matinee.spark.engine import Cluster

    own = [one for one in settings or () if one.startswith("spark.")]
    found = Cluster(**others(master, conf))
    said = dict(_pair("--set", one.removeprefix("spark.")) for one in own)
    configured: Any = with_settings(found, said)  # type: ignore[arg-type]
    return configured, [one for one in settings or () if one not in own]


def others(master: str | None, conf: Sequence[str] | None) -> dict[str, Any]:
    """Return the cluster's settings of the options."""
    said = dict(_pair("--spark-conf", one) for one in conf or ())
    return {**({"master": master} if master else {}), **({"conf": said} if said else {})}


def _pair(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise UsageError(f"{option} must be NAME=VALUE, not {text!r}")
    return name, value


def source(data: Data) -> Source:
    """Return DATA as the executors read it."""
    from matinee.ratings import Scale
    from matinee.spark.engine import Source

    options.one_of("--on-bad-rows", data.on_bad_rows, ("error", "skip"))
    read_here = {"--columns": data.columns, "--movie-columns": data.movie_columns, "--not-rated": data.not_rated}
    for option, value in read_here.items():
        if value is not None:
            raise UsageError(f"{option} works only with --engine local")
    return Source(
        data.data,
        data.user,
        data.movie,
        data.rating,
        data.timestamp,
        data.movies,
        Scale.parse(data.scale) if data.scale else None,
        "skip" if data.on_bad_rows == "skip" else "error",
        data.skip_at_most,
    )
