"""snapshot import-spark: what other programs trained, into a store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from matinee.cli import options, stores
from matinee.cli.options import AsJson, Data, StoreOption, Threads
from matinee.cli.program import command

if TYPE_CHECKING:
    from matinee.spark.interop import Imported

SavedModel = Annotated[
    Path, typer.Argument(metavar="PATH", help="What save() of a Spark ALS model, pipeline or tuned model wrote.")
]
Movies = Annotated[Path | None, typer.Option(metavar="FILE", help="Titles and genres, by the model's movie ids.")]
TrainedOn = Annotated[
    str | None,
    typer.Option("--ratings", metavar="DATA", help="What it was trained on: the users' histories, and how it was."),
]


def add_to(app: typer.Typer) -> None:
    example = "matinee snapshot import-spark model --movies movies.csv --ratings ratings.csv"
    command(stores.snapshots, example, "import-spark")(import_spark)


def import_spark(
    path: SavedModel,
    movies: Movies = None,
    ratings: TrainedOn = None,
    reg: Annotated[float | None, typer.Option(metavar="X", help="Its regParam, where no ratings tell.")] = None,
    implicit: Annotated[bool, typer.Option("--implicit", help="It was trained with implicitPrefs.")] = False,
    alpha: Annotated[float | None, typer.Option(metavar="X", help="Its alpha, with --implicit.")] = None,
    nonnegative: Annotated[bool, typer.Option("--nonnegative", help="It was trained as nonnegative.")] = False,
    scale: Annotated[
        str | None, typer.Option(metavar="LOW:HIGH", help="What stars can be, without ratings: 0.5:5 unless given.")
    ] = None,
    store: StoreOption = options.DEFAULT_STORE,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Publish a model that Spark saved as a snapshot, which is served from then on; needs neither Spark nor Java.

    Read are pyspark.mllib's MatrixFactorizationModel, pyspark.ml's ALSModel, and pipelines and tuned models with one of
    them inside, of Spark 2 to 4. A saved model does not tell its regularisation: it is found out from the ratings that
    it was trained on, taken from a tuned model, or given.
    """
    from matinee.cli import output
    from matinee.ratings import Scale
    from matinee.spark.interop import Said, import_model

    said = Said(reg, implicit or alpha is not None or None, alpha, nonnegative or None)
    imported = import_model(
        path,
        store,
        movies=movies,
        ratings=Data(ratings).read() if ratings else None,
        said=said,
        scale=Scale.parse(scale) if scale else None,
        threads=threads,
    )
    known = _described(imported)
    return output.document(known) if as_json else output.facts(output.flat(known))


def _described(imported: Imported) -> dict[str, Any]:
    """Return what people want to know of an imported model."""
    return {
        **stores.described(imported.snapshot.manifest),
        "trained": str(imported.objective),
        "refitted users differ by": imported.difference,
    }
