"""tune, train: choose parameters, make a snapshot."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from matinee.cli import options, spark_options
from matinee.cli.options import AsJson, Data, Seed, Settings, StoreOption, Threads, reads_data
from matinee.cli.program import command
from matinee.errors import UsageError
from matinee.model_names import RANKERS, RATERS

if TYPE_CHECKING:
    pass

TUTORIAL_RANKS = (4, 8, 12)

Iterations = Annotated[int | None, typer.Option(metavar="N", min=1, help="The rater's iterations.")]


def add_to(app: typer.Typer) -> None:
    command(app, "matinee tune ml-latest-small --ranks 4,8,12 --regs 0.1 --save best.json")(tune)
    command(app, "matinee train ml-latest-small --rater als --rank 8 --split 7:3")(train)


@reads_data
def tune(
    data: Data,
    model: Annotated[str, typer.Option(metavar="NAME", help="The model to choose settings for.")] = "als",
    ranks: Annotated[str | None, typer.Option(metavar="N,...", help="Ranks to try; for als by default 4,8,12.")] = None,
    regs: Annotated[str | None, typer.Option(metavar="X,...", help="Regularisations to try.")] = None,
    trials: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Let Optuna propose this many, instead of all combinations.")
    ] = None,
    study: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Store the trials; the same command continues them.")
    ] = None,
    iterations: Iterations = None,
    settings: Settings = None,
    split: Annotated[str, typer.Option(metavar="A:B:C", help="Parts for training, validation and test.")] = "6:2:2",
    save: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Write the best settings for `matinee train`.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Write the scores as a picture.")] = None,
    seed: Seed = 0,
    threads: Threads = None,
    engine: spark_options.Engine = "local",
    master: spark_options.Master = None,
    spark_conf: spark_options.SparkConf = None,
    histories: spark_options.Histories = None,
    as_json: AsJson = False,
) -> None:
    """Try settings, choose the best by the validation part, and test it once.

    Tries every combination of --ranks and --regs, or with --trials the proposals of Optuna.
    """
    from matinee import tuning
    from matinee.cli import configs, output

    on_spark = spark_options.asked(engine, master=master, spark_conf=spark_conf, histories=histories)
    if on_spark:
        cluster, settings = spark_options.cluster(master, spark_conf, settings)
    found = configs.several(model, configs.parsed(settings), seed, iterations=iterations)
    if len(found) > 1:
        raise UsageError(f"tune one model at a time, not {model}")
    if study and not trials:
        raise UsageError("--study needs --trials N")
    grid = {"rank": options.numbers("--ranks", ranks, int), "reg": options.numbers("--regs", regs, float)}
    tried: dict[str, Any] = {name: values for name, values in grid.items() if values}
    if model == "als" and not tried and not trials:
        tried = {"rank": TUTORIAL_RANKS}
    if on_spark:
        from matinee.tuning.cluster import tune_on_spark

        if trials:
            raise UsageError("--trials works only with --engine local; on Spark use --ranks and --regs")
        with output.iterations("Spark: starting") as progress:
            tuned = tune_on_spark(
                spark_options.source(data),
                found[0],
                split,
                cluster=cluster,
                rng=seed,
                histories=histories,
                progress=progress,
                **tried,
            )
    else:
        with output.iterations("tuning", "score") as progress:
            tuned = tuning.tune(
                data.read_aloud(),
                found[0],
                split,
                trials=trials,
                study=study,
                rng=seed,
                threads=threads,
                progress=progress,
                **tried,
            )
    output.result(tuned, as_json, best=configs.to_json(tuned.best), metric=tuned.metric, test=tuned.test)
    if save:
        tuned.save(save)
    if plot:
        tuned.plot(plot)


@reads_data
def train(
    data: Data,
    store: StoreOption = options.DEFAULT_STORE,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The rater's settings, from `matinee tune --save`.")
    ] = None,
    rater: Annotated[str | None, typer.Option(metavar="|".join(RATERS), help="The model that predicts stars.")] = None,
    ranker: Annotated[
        str | None,
        typer.Option(metavar="|".join([*RANKERS, "none"]), help="The model that orders lists; none: by stars."),
    ] = None,
    rank: Annotated[int | None, typer.Option(metavar="N", min=1, help="The rater's number of factors.")] = None,
    iterations: Iterations = None,
    reg: Annotated[float | None, typer.Option(metavar="X", help="The rater's regularisation.")] = None,
    settings: Settings = None,
    split: Annotated[str, typer.Option(metavar="A:B", help="Parts for training and test.")] = "7:3",
    no_measure: Annotated[bool, typer.Option("--no-measure", help="Publish without measuring first.")] = False,
    seed: Seed = 5,
    threads: Threads = None,
    engine: spark_options.Engine = "local",
    master: spark_options.Master = None,
    spark_conf: spark_options.SparkConf = None,
    histories: spark_options.Histories = None,
    as_json: AsJson = False,
) -> None:
    """Measure on a split, then train on everything, publish a snapshot and activate it.

    The default rater is bayes, the default ranker ease, or ials for more than 20,000 movies to rank. On Spark they are
    als and none, and DATA is any path that Spark reads.
    """
    from matinee import training
    from matinee.cli import configs, output
    from matinee.cli.snapshot import published

    if spark_options.asked(engine, master=master, spark_conf=spark_conf, histories=histories):
        from matinee.spark import engine as spark

        cluster, others = spark_options.cluster(master, spark_conf, settings)
        rating, ordering = configs.rater_and_ranker(
            rater or (None if config else "als"),
            ranker,
            config,
            configs.parsed(others),
            seed,
            None,
            rank=rank,
            iterations=iterations,
            reg=reg,
        )
        with output.iterations("Spark: starting") as progress:
            snapshot = spark.train(
                spark_options.source(data),
                store,
                cluster=cluster,
                rater=rating,
                ranker=ordering,
                split=split,
                measure=not no_measure,
                rng=seed,
                histories=histories,
                threads=threads,
                progress=progress,
            )
        return published(snapshot, as_json)
    logging.getLogger("matinee.models").setLevel(logging.INFO)  # models log the memory that they need
    chosen = configs.parsed(settings)
    ds = data.read_aloud()
    rating, ordering = configs.rater_and_ranker(
        rater, ranker, config, chosen, seed, ds.ratings, rank=rank, iterations=iterations, reg=reg
    )
    with output.iterations("training") as progress:
        snapshot = training.train(
            ds,
            store,
            rater=rating,
            ranker=ordering,
            split=split,
            measure=not no_measure,
            rng=seed,
            threads=threads,
            progress=progress,
        )
    return published(snapshot, as_json)
