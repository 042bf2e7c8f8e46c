"""tune, train, evaluate: choose parameters, make a snapshot, measure."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from matinee.cli import options
from matinee.cli.options import AsJson, Data, Seed, StoreOption, Threads, reads_data
from matinee.cli.program import command
from matinee.errors import UsageError

if TYPE_CHECKING:
    from matinee.dataset import Dataset
    from matinee.split import Split

TUTORIAL_RANKS = (4, 8, 12)

Iterations = Annotated[int | None, typer.Option(metavar="N", min=1, help="The rater's iterations.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="MODEL.SETTING=VALUE", help="Any other setting; repeat for more.")
]


def add_to(app: typer.Typer) -> None:
    command(app, "matinee tune ml-latest-small --ranks 4,8,12 --regs 0.1 --save best.json")(tune)
    command(app, "matinee train ml-latest-small --rater als --rank 8 --split 7:3")(train)
    command(app, "matinee evaluate ml-latest-small --model popular,bias,als,ease --split 7:3")(evaluate)


@reads_data
def tune(
    data: Data,
    model: Annotated[str, typer.Option(metavar="NAME", help="The model to choose settings for.")] = "als",
    ranks: Annotated[
        str | None, typer.Option(metavar="N,...", help="Ranks to try; for als 4,8,12 where nothing else is asked.")
    ] = None,
    regs: Annotated[str | None, typer.Option(metavar="X,...", help="Regularisations to try.")] = None,
    trials: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Let Optuna propose so many, instead of every combination.")
    ] = None,
    study: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep the trials; the same command goes on from there.")
    ] = None,
    iterations: Iterations = None,
    settings: Settings = None,
    split: Annotated[str, typer.Option(metavar="A:B:C", help="Parts to train, to choose and to test on.")] = "6:2:2",
    save: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Keep the best for `matinee train`.")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Keep the scores as a picture.")] = None,
    seed: Seed = 0,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Try settings, choose by the validation part, and test the best once.

    Tried is every combination of --ranks and --regs, or with --trials what Optuna proposes.
    """
    from matinee import tuning
    from matinee.cli import configs, output

    found = configs.several(model, configs.parsed(settings), seed, iterations=iterations)
    if len(found) > 1:
        raise UsageError(f"tune one model at a time, not {model}")
    if study and not trials:
        raise UsageError("--study keeps the trials of --trials N; give both")
    grid = {"rank": options.numbers("--ranks", ranks, int), "reg": options.numbers("--regs", regs, float)}
    tried: dict[str, Any] = {name: values for name, values in grid.items() if values}
    if model == "als" and not tried and not trials:
        tried = {"rank": TUTORIAL_RANKS}
    with output.iterations("tuning", "score") as progress:
        tuned = tuning.tune(
            data.read(),
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
        Path | None, typer.Option(metavar="FILE", help="The rater as `matinee tune --save` wrote it.")
    ] = None,
    rater: Annotated[str | None, typer.Option(metavar="als|bayes|bias", help="What shows stars.")] = None,
    ranker: Annotated[
        str | None, typer.Option(metavar="ease|ials|blend|popular|none", help="What orders lists; none: stars do.")
    ] = None,
    rank: Annotated[int | None, typer.Option(metavar="N", min=1, help="The rater's number of factors.")] = None,
    iterations: Iterations = None,
    reg: Annotated[float | None, typer.Option(metavar="X", help="The rater's regularisation.")] = None,
    settings: Settings = None,
    split: Annotated[str, typer.Option(metavar="A:B", help="Parts to train and to measure on.")] = "7:3",
    no_measure: Annotated[bool, typer.Option("--no-measure", help="Publish without measuring first.")] = False,
    seed: Seed = 5,
    threads: Threads = None,
    engine: Annotated[str, typer.Option(metavar="local", help="Where to train.")] = "local",
    as_json: AsJson = False,
) -> None:
    """Measure on a split, then train on everything and publish the snapshot that is served from then on.

    Without --rater it is bayes, without --ranker it is ease, or ials for more than 20,000 movies to rank.
    """
    from matinee import training
    from matinee.cli import configs, output, stores

    options.one_of("--engine", engine, ("local",))
    logging.getLogger("matinee.models").setLevel(logging.INFO)  # a model says how much memory it needs
    chosen = configs.parsed(settings)
    ds = data.read()
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
    stores.published(snapshot, as_json)


@reads_data
def evaluate(
    data: Data = Data(""),  # noqa: B008
    model: Annotated[
        str, typer.Option(metavar="NAME,...", help="Models to compare: popular, bias, als, bayes, ease, ials, blend.")
    ] = "popular,bias,als",
    settings: Settings = None,
    split: Annotated[
        str | None, typer.Option(metavar="A:B|folds:K", help="Random parts; 7:3 where nothing else is asked.")
    ] = None,
    by_time: Annotated[bool, typer.Option("--by-time", help="Test on the latest fifth of the ratings.")] = False,
    leave_last: Annotated[
        int | None, typer.Option(metavar="K", min=1, help="Test on everyone's last K ratings.")
    ] = None,
    new_visitors: Annotated[
        bool, typer.Option("--new-visitors", help="Test on people who are held out whole.")
    ] = False,
    train: Annotated[
        str | None, typer.Option(metavar="FILE", help="With --test, instead of DATA: split already.")
    ] = None,
    test: Annotated[str | None, typer.Option(metavar="FILE", help="The ratings to test on.")] = None,
    min_ratings: Annotated[int, typer.Option(metavar="N", min=0, help="List movies with so many ratings.")] = 25,
    binary: Annotated[
        bool, typer.Option("--binary", help="Let ease see only who rated what, as published comparisons do.")
    ] = False,
    users: Annotated[int, typer.Option(metavar="N", min=1, help="Ask at most so many people, at random.")] = 10_000,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Keep the plots as a picture.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE.html", help="Keep tables and plots as one page.")] = None,
    seed: Seed = 0,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Compare models on held-out ratings: errors in stars, and lists over the full catalogue."""
    from matinee import evaluation
    from matinee.cli import configs, output

    files = _files(data.data, train, test)
    protocol = _protocol(split, by_time, leave_last, new_visitors, bool(files))
    chosen = configs.several(model, configs.parsed(settings), seed)
    if binary:
        chosen = configs.binary(chosen)
    dataset, parts = _joined(data, *files) if files else (data.read(), protocol)
    with output.iterations("evaluating") as progress:
        report = evaluation.evaluate(
            dataset,
            chosen,
            parts,
            rng=seed,
            min_ratings=min_ratings,
            users=users,
            threads=threads,
            progress=lambda name, *step: progress(*step, label=name),
        )
    output.report(report, as_json)
    if plot:
        report.plot(plot)
    if html:
        report.html(html)


def _files(data: str, train: str | None, test: str | None) -> tuple[str, str] | None:
    """Return the files that are train and test already, None where DATA is to be split."""
    if train and test and not data:
        return train, test
    if train or test or not data:
        raise UsageError("name what to evaluate on: DATA, or both of --train FILE and --test FILE")
    return None


def _joined(data: Data, train: str, test: str) -> tuple[Dataset, Split]:
    from matinee import evaluation

    return evaluation.joined(replace(data, data=train).read(), replace(data, data=test).read())


def _protocol(split: str | None, by_time: bool, leave_last: int | None, new_visitors: bool, is_split: bool) -> str:
    """Return the one way of splitting that is asked for, as matinee.split.parse reads it."""
    asked = {
        "--split": split,
        "--by-time": "by-time" if by_time else None,
        "--leave-last": f"leave-last:{leave_last}" if leave_last else None,
        "--new-visitors": "new-visitors" if new_visitors else None,
        "--train and --test": "given" if is_split else None,
    }
    named = [name for name, text in asked.items() if text]
    if len(named) > 1:
        raise UsageError(f"{' and '.join(named)} are different ways to split; choose one")
    return asked[named[0]] or "" if named else "7:3"
