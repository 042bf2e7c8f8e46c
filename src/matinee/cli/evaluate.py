"""evaluate: compare models on ratings that they did not see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from matinee.cli.options import AsJson, Data, Seed, Settings, Threads, reads_data
from matinee.cli.program import command
from matinee.defaults import DEFAULT_MIN_RATINGS
from matinee.errors import UsageError

if TYPE_CHECKING:
    from matinee.dataset import Dataset
    from matinee.models import Config
    from matinee.split import Split
    from matinee.table import Table


def add_to(app: typer.Typer) -> None:
    command(app, "matinee evaluate ml-latest-small --model popular,bias,als,ease --split 7:3")(evaluate)


@reads_data
def evaluate(
    data: Data = Data(""),  # noqa: B008
    model: Annotated[
        str, typer.Option(metavar="NAME,...", help="Models to compare: popular, bias, als, bayes, ease, ials, blend.")
    ] = "popular,bias,als",
    settings: Settings = None,
    split: Annotated[str | None, typer.Option(metavar="A:B|folds:K", help="Random parts; by default 7:3.")] = None,
    by_time: Annotated[bool, typer.Option("--by-time", help="Test on the latest fifth of the ratings.")] = False,
    leave_last: Annotated[
        int | None, typer.Option(metavar="K", min=1, help="Test on everyone's last K ratings.")
    ] = None,
    new_visitors: Annotated[
        bool, typer.Option("--new-visitors", help="Test on users who are held out completely.")
    ] = False,
    train: Annotated[
        str | None, typer.Option(metavar="FILE", help="With --test, instead of DATA: the training part.")
    ] = None,
    test: Annotated[str | None, typer.Option(metavar="FILE", help="The ratings to test on.")] = None,
    min_ratings: Annotated[
        int, typer.Option(metavar="N", min=0, help="Only list movies with at least this many ratings.")
    ] = DEFAULT_MIN_RATINGS,
    binary: Annotated[
        bool, typer.Option("--binary", help="Let ease ignore the stars, as in published comparisons.")
    ] = False,
    users: Annotated[
        int, typer.Option(metavar="N", min=1, help="Test on at most this many users, at random.")
    ] = 10_000,
    drift: Annotated[
        bool, typer.Option("--drift", help="Instead, compare folded-in visitors with a refit that includes them.")
    ] = False,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Write the plots as a picture.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE.html", help="Write tables and plots as one page.")] = None,
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
    if drift:
        if plot or html or files or protocol != "7:3":
            raise UsageError("--drift splits DATA itself; leave out the options of splits, plots and pages")
        output.result(_drift(data.read_aloud(), chosen, seed, min_ratings, threads), as_json)
        return
    dataset, parts = _joined(data, *files) if files else (data.read_aloud(), protocol)
    with output.iterations("evaluating") as progress:
        report = evaluation.evaluate(
            dataset,
            chosen,
            parts,
            rng=seed,
            min_ratings=min_ratings,
            users=users,
            threads=threads,
            progress=progress,
        )
    output.report(report, as_json)
    if plot:
        report.plot(plot)
    if html:
        report.html(html)


def _drift(dataset: Dataset, chosen: Sequence[Config], seed: int, min_ratings: int, threads: int | None) -> Table:
    """Return the drift of each model, one table below the other."""
    import pyarrow as pa

    from matinee import evaluation
    from matinee.cli import output
    from matinee.table import Table

    tables = []
    with output.iterations("refitting") as progress:
        for step, config in enumerate(chosen):
            progress(config.name, step, len(chosen), None)
            tables.append(evaluation.drift(dataset, config, rng=seed, min_ratings=min_ratings, threads=threads))
    return Table(pa.concat_tables([table.arrow for table in tables], promote_options="default"), tables[0].note)


def _files(data: str, train: str | None, test: str | None) -> tuple[str, str] | None:
    """Return the files that are train and test already, None where DATA is to be split."""
    if train and test and not data:
        return train, test
    if train or test or not data:
        raise UsageError("name DATA, or both --train FILE and --test FILE")
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
