"""Write docs/cli.md from the commands themselves; `make docs` runs it and a test compares the two."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from matinee.cli import app

PAGE = Path(__file__).parent / "cli.md"
HEAD = """# The command line

Written by `make docs` from the commands' own help; do not edit.

DATA is a folder or zip of any MovieLens release, a CSV or Parquet file, the name of a release, a store, or `sample`.
MOVIE is an id or a title; a title that several movies share is an error that lists them.

Every option can also be given as a variable, `--rated-since` as `MATINEE_RATED_SINCE`; the options that describe a
table are `MATINEE_USER_COLUMN`, `MATINEE_MOVIE_COLUMN` and so on, and `MATINEE_DATA_SCALE`. And it can stand in
`matinee.toml` in the current folder, or in the file that `matinee --settings FILE` or `MATINEE_SETTINGS` names: at the
top for every command that has it, or under the command's name. The command line wins over variables, and these over
the file.

    store = "/srv/matinee/store"
    [serve]
    port = 80
    workers = 4

Exit codes: 0 fine, 1 failed with one clear line on standard error, 2 bad usage, 130 interrupted.
`matinee --verbose COMMAND` or `MATINEE_DEBUG=1` shows where an error comes from.
"""


def page() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *(section(path, command) for path, command in commands("matinee", get_command(app)))])


def commands(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Return every command with its path, groups resolved."""
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(f"{path} {name}", inner)
    if not hasattr(command, "commands"):
        yield path, command


def section(path: str, command: Any) -> str:
    """Return the section of one command: what it does, an example, arguments and options."""
    shown = [one for one in command.params if one.name != "help"]
    rows = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells(one))} |" for one in shown]
    example = command.epilog.removeprefix("Example:").strip()
    table = ["| option | meaning | default |", "|---|---|---|", *rows]
    return "\n".join([f"## {path}", "", command.help, "", "```", example, "```", "", *table, ""])


def cells(parameter: Any) -> tuple[str, str, str]:
    """Return how a parameter is written, what it means, and its default."""
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar}`", parameter.help, ""
    value = "" if parameter.is_flag else f" {parameter.metavar}"
    default = "" if parameter.is_flag or parameter.default is None else f"`{parameter.default}`"
    return f"`{', '.join([*parameter.opts, *parameter.secondary_opts])}{value}`", parameter.help, default


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
