"""The command line: a skin on the library. Each command parses, makes one call and prints.

    program            errors into exit codes, options from the environment
    settings           options from matinee.toml
    options            options that several commands share; spark_options: where Spark runs
    output             tables, JSON and progress
    data               fetch, info, movies
    train              tune, train
    evaluate           evaluate
    recommend          recommend, predict, similar
    batch_recommend    batch-recommend
    snapshot           snapshot list, show, verify, activate, remove, prune, pull
    snapshot_exchange  snapshot import-spark, export
    refit              refit
    serve              serve, demo
    backup             backup, restore, live migrate
    key                key create, list, revoke, rotate-secrets

Modules of the library are imported inside the commands, so that help appears at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from matinee.cli import (
    backup,
    batch_recommend,
    data,
    evaluate,
    key,
    program,
    recommend,
    refit,
    serve,
    settings,
    snapshot,
    snapshot_exchange,
    train,
)

app = typer.Typer(name="matinee", cls=program.Group, no_args_is_help=False, pretty_exceptions_enable=False)


def main_options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version, the commit if known, and exit.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Print more, with a traceback if a command fails.")
    ] = False,
    settings_file: Annotated[
        Path | None,
        typer.Option(
            "--settings",
            metavar="FILE.toml",
            envvar="MATINEE_SETTINGS",
            help="Settings file; ./matinee.toml if it exists.",
        ),
    ] = None,
) -> None:
    """Matinee: rate a few films and see at once what to watch next.

    Begin with `matinee demo`. DATA is a folder or zip of any MovieLens release, a CSV or Parquet file, the name of a
    release, a store, or "sample". MOVIE is an id or a title.
    """
    program.start(verbose)
    context.default_map = settings.read(settings_file, context.command)
    if version:
        from matinee.cli import output

        output.line(_version())
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _version() -> str:
    from matinee.version import commit, version

    known = commit()
    return f"matinee {version()} (commit {known})" if known else f"matinee {version()}"


app.callback(invoke_without_command=True, help=program.unwrapped(main_options.__doc__ or ""))(main_options)
for module in (
    serve,
    data,
    train,
    evaluate,
    recommend,
    batch_recommend,
    snapshot,
    snapshot_exchange,
    refit,
    backup,
    key,
):
    module.add_to(app)
