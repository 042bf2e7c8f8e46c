"""refit: live ratings into the next snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from matinee.cli import options, spark_options
from matinee.cli.options import AsJson, Keep, LiveOption, StoreOption, Threads
from matinee.cli.program import command
from matinee.errors import ModelError

if TYPE_CHECKING:
    from matinee.refit import Outcome


def add_to(app: typer.Typer) -> None:
    command(app, "matinee refit --store matinee-store")(refit)


def refit(
    store: StoreOption = options.DEFAULT_STORE,
    live: LiveOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Publish even without new ratings, or where the candidate is worse.")
    ] = False,
    keep: Keep = 3,
    threads: Threads = None,
    master: spark_options.Master = None,
    spark_conf: spark_options.SparkConf = None,
    as_json: AsJson = False,
) -> None:
    """Fit the served snapshot's models again with the live ratings, and serve them unless they are worse.

    Running services follow within seconds. A candidate that is worse than the served snapshot, on ratings that
    neither has seen, is refused with exit code 1. Older snapshots than the newest few are deleted, and those with
    people who were forgotten. Spark refits a snapshot that Spark trained, on the same master unless --master names
    another.
    """
    from matinee.cli import output
    from matinee.refit import refit
    from matinee.snapshot import Store

    cluster = spark_options.others(master, spark_conf)
    with options.live_ratings(store, live) as opened, output.iterations("refitting") as progress:
        outcome = refit(
            Store(store), opened, force=force, keep=keep, threads=threads, cluster=cluster, progress=progress
        )
    if as_json:
        output.document(outcome.described())
    elif outcome.result != "refused":
        output.line(_said(outcome))
    if outcome.result == "refused":
        raise ModelError(
            f"not published, {outcome.why}; look for users with very many new ratings, or publish it with --force"
        )


def _said(outcome: Outcome) -> str:
    if outcome.result == "unchanged":
        return f"No new ratings; snapshot {outcome.snapshot} stays in service"
    left_out = f"; {outcome.left_out:,} live ratings of unknown movies or off the scale left out" * bool(
        outcome.left_out
    )
    removed = f"; deleted {', '.join(outcome.removed)}" * bool(outcome.removed)
    return f"Published snapshot {outcome.snapshot} in {outcome.seconds:.1f} s: {outcome.why}{left_out}{removed}"
