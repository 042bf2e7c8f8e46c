"""batch-recommend: all users' lists at once, as Parquet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from matinee.cli import options, spark_options
from matinee.cli.options import AsJson, StoreOption, Threads
from matinee.cli.program import command
from matinee.defaults import DEFAULT_N

if TYPE_CHECKING:
    from matinee.recommender import Order

Out = Annotated[str, typer.Option("--out", metavar="DIR", help="New folder for the Parquet files.")]


def add_to(app: typer.Typer) -> None:
    command(app, "matinee batch-recommend --out lists -n 25 --min-ratings 50")(batch_recommend)


@options.takes_filters
def batch_recommend(
    *,
    out: Out,
    store: StoreOption = options.DEFAULT_STORE,
    n: options.Top = DEFAULT_N,
    filters: options.FilterValues,
    order: options.OrderOption = "match",
    snapshot: options.SnapshotOption = None,
    threads: Threads = None,
    engine: spark_options.Engine = "local",
    master: spark_options.Master = None,
    spark_conf: spark_options.SparkConf = None,
    as_json: AsJson = False,
) -> None:
    """Write the list of every user of a snapshot, never with a movie they rated, as Parquet.

    With --engine spark the cluster makes and writes them, for a snapshot that it trained. Each row has user, rank (1 is
    the best), movie, stars, low, high and match. Live ratings after the snapshot do not count; refit first to include
    them.
    """
    from matinee.batch import batch_recommend
    from matinee.cli import output
    from matinee.recommender import Filters, Recommender

    options.one_of("--order", order, ("match", "stars"))
    asked = Recommender.open(store, snapshot=snapshot)
    chosen: dict[str, Any] = {"n": n, "filters": Filters.of(**filters), "order": cast("Order", order)}
    if spark_options.asked(engine, master=master, spark_conf=spark_conf):
        from matinee.spark.engine import lists

        cluster, _ = spark_options.cluster(master, spark_conf, None)
        with output.iterations("Spark: starting") as progress:
            rows = lists.batch_recommend(asked, out, **chosen, cluster=cluster, progress=progress)
    else:
        with output.iterations("recommending") as progress:
            rows = batch_recommend(asked, out, **chosen, threads=threads, progress=progress)
    if not asked.dataset.ratings.n:
        output.remark(
            "this snapshot holds no ratings, so it has no users to make lists for; import it again with --ratings"
        )
    if as_json:
        return output.document({"out": out, "rows": rows, "snapshot": asked.snapshot_id})
    return output.line(f"{out} holds {rows:,} rows of users' lists, from snapshot {asked.snapshot_id}")
