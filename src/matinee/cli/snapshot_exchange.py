"""snapshot import-spark, export: Spark's models into a store, and a snapshot's models out of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from matinee.cli import options
from matinee.cli.options import AsJson, Data, LiveOption, StoreOption, Threads
from matinee.cli.program import command
from matinee.cli.snapshot import OptionalId, described, snapshots

if TYPE_CHECKING:
    from matinee.spark.interop import Imported

SavedModel = Annotated[
    str, typer.Argument(metavar="PATH", help="The output of save() of a Spark ALS model, pipeline or tuned model.")
]
Movies = Annotated[Path | None, typer.Option(metavar="FILE", help="Titles and genres, by the model's movie ids.")]
TrainedOn = Annotated[
    str | None,
    typer.Option("--ratings", metavar="DATA", help="Its training data, for the users' histories and its settings."),
]
Format = Annotated[
    str, typer.Option("--format", metavar="spark-mllib|spark-ml|parquet|arrow", help="The format of the files.")
]
Out = Annotated[str, typer.Option("--out", metavar="DIR", help="New folder for the files.")]
Which = Annotated[
    str | None, typer.Option("--model", metavar="als|ials", help="If a snapshot has both; by default its rater.")
]


def add_to(app: typer.Typer) -> None:
    example = "matinee snapshot import-spark model --movies movies.csv --ratings ratings.csv"
    command(snapshots, example, "import-spark")(import_spark)
    command(snapshots, "matinee snapshot export --format spark-ml --out model", "export")(export)


def import_spark(
    path: SavedModel,
    movies: Movies = None,
    ratings: TrainedOn = None,
    reg: Annotated[float | None, typer.Option(metavar="X", help="Its regParam, if no ratings are given.")] = None,
    implicit: Annotated[bool, typer.Option("--implicit", help="Its implicitPrefs is true.")] = False,
    alpha: Annotated[float | None, typer.Option(metavar="X", help="Its alpha, with --implicit.")] = None,
    nonnegative: Annotated[bool, typer.Option("--nonnegative", help="Its nonnegative is true.")] = False,
    scale: Annotated[
        str | None, typer.Option(metavar="LOW:HIGH", help="Scale of the stars, without ratings; by default 0.5:5.")
    ] = None,
    store: StoreOption = options.DEFAULT_STORE,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Publish a model that Spark saved as a snapshot, and activate it; needs neither Spark nor Java.

    Reads pyspark.mllib's MatrixFactorizationModel, pyspark.ml's ALSModel, and pipelines and tuned models that contain
    one of them, of Spark 2 to 4. A saved model does not contain its regularisation: it comes from the training
    ratings, from a tuned model, or from --reg.
    """
    from matinee.cli import output
    from matinee.ratings import Scale
    from matinee.spark.interop import SparkSettings, import_model

    said = SparkSettings(reg, implicit or alpha is not None or None, alpha, nonnegative or None)
    imported = import_model(
        path,
        store,
        movies=movies,
        ratings=Data(ratings).read() if ratings else None,
        said=said,
        scale=Scale.parse(scale) if scale else None,
        threads=threads,
    )
    if imported.disagrees:
        output.remark(
            f"the ratings do not fit a model that is {imported.objective}: its users, refitted, differ by "
            f"{_part(imported)}; leave the option out to estimate it from the ratings"
        )
    elif imported.differing and (twice := imported.snapshot.dataset.facts.duplicates):
        output.remark(
            f"{imported.differing:.1%} of the users differ from Spark's: {twice:,} ratings repeat a user "
            "and movie; Matinee uses the last of them, Spark all of them"
        )
    known = {**described(imported.snapshot.manifest), "trained": str(imported.objective)}
    if as_json:
        found = {"refitted users differ by": imported.difference, "users who differ": imported.differing}
        return output.document({**known, "found within": imported.within, **found})
    within = ", ".join(f"{name} to within {most:.0e}" for name, most in imported.within.items())
    shown = {**known, "found from the ratings": within, "refitted users differ by": _part(imported)}
    return output.facts(output.flat(shown))


def _part(imported: Imported) -> str:
    """Return the difference between users folded in by Matinee and those that Spark stored."""
    from matinee.spark.interop.importing import AGREES

    if imported.difference is None:
        return ""
    return f"{imported.difference:.1e} of their length (median; {imported.differing:.1%} by more than {AGREES:g})"


def export(
    form: Format,
    out: Out,
    snapshot: OptionalId = None,
    model: Which = None,
    store: StoreOption = options.DEFAULT_STORE,
    live: LiveOption = None,
    as_json: AsJson = False,
) -> None:
    """Write a snapshot's factors for other programs; needs neither Spark nor Java.

    spark-mllib is loaded by pyspark.mllib's MatrixFactorizationModel.load, spark-ml by pyspark.ml's ALSModel.load; both
    need ids that are 32-bit integers. parquet and arrow are two tables, of users and of movies, with ids as text. Live
    ratings after the snapshot do not count; refit first to include them.
    """
    from dataclasses import asdict

    from matinee import refit
    from matinee.cli import output
    from matinee.snapshot import Store
    from matinee.spark.interop import export_model

    opened = Store(store).open(snapshot)
    with options.live_ratings(store, live) as said:
        refit.check_exportable(Store(store), said, opened.id)
    made = export_model(opened, form, out, model=model)
    if as_json:
        return output.document({"out": out, "format": form, **asdict(made)})
    return output.line(
        f"{out} holds {made.model} of rank {made.rank} as {form}: {made.users:,} users and {made.movies:,} movies, "
        f"from snapshot {made.snapshot}"
    )
