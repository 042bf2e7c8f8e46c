"""What commands print: tables for people, JSON for programs, progress while one waits.

Results go to standard output, everything else to standard error. Where the stream is not a terminal there are no
colours and no progress bars, and lines are never wrapped.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table as Grid

from matinee.table import Table, texts

if TYPE_CHECKING:
    from matinee.evaluation import Report

UNWRAPPED = 1_000  # columns of what is not a terminal
TITLE_WIDTH = 22  # columns that a title keeps where the terminal is narrow


def complain(message: str) -> None:
    """Say in one line on standard error why a command fails."""
    _console(sys.stderr).print(f"[bold red]error:[/] {escape(' '.join(message.split()))}", soft_wrap=True)


def remark(message: str) -> None:
    """Say on standard error what one should know besides the result."""
    _console(sys.stderr).print(escape(message), soft_wrap=True)


def line(text: str) -> None:
    """Print one line of a result."""
    _console(sys.stdout).print(escape(text), soft_wrap=True)


def document(content: Any) -> None:
    """Print JSON at once, as a service goes on after it; a number that JSON does not have becomes null."""
    knows_all_letters = "utf" in (sys.stdout.encoding or "").lower()
    print(json.dumps(_plain(content), ensure_ascii=not knows_all_letters, indent=2, allow_nan=False), flush=True)


def result(table: Table, as_json: bool, **more: Any) -> None:
    """Print a table with its note, or both and `more` as JSON."""
    if as_json:
        document({"rows": list(table), "note": table.note, **more})
        return
    grid(table.columns, (list(row.values()) for row in table))
    note(table)


def note(table: Table) -> None:
    """Print what a reader of the table must know."""
    for text in table.note.splitlines():
        line(text)


def report(found: Report, as_json: bool) -> None:
    """Print the tables of an evaluation under their headings, or everything measured as JSON."""
    if as_json:
        return result(found, as_json)
    for heading, part in found.tables.items():
        line(heading)
        grid(part.columns, (list(row.values()) for row in part))
    return note(found)


def facts(known: Mapping[str, Any]) -> None:
    """Print names and values below each other, leaving out what is not there."""
    shown = {name.replace("_", " "): texts([value])[0] for name, value in known.items() if value not in ("", [], False)}
    width = max(map(len, shown))
    for name, value in shown.items():
        if value:
            line(f"{name:{width}}  {value}")


def grid(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows under headings; numbers are flushed right and have as many decimals as their column's largest."""
    shown = Grid(box=box.SIMPLE_HEAD, pad_edge=False)
    by_column = [list(values) for values in zip(*rows, strict=True)] or [[] for _ in columns]
    for name, values in zip(columns, by_column, strict=True):
        numeric = any(isinstance(value, int | float) for value in values)
        wide = TITLE_WIDTH if name == "title" else None
        heading = name.replace("_", " ")
        shown.add_column(heading, justify="right" if numeric else "left", overflow="fold", min_width=wide)
    for row in zip(*map(texts, by_column), strict=True):
        shown.add_row(*map(escape, row))
    _console(sys.stdout).print(shown)


def flat(known: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested names and values as one level.

    >>> flat({"rater": {"model": "als", "rank": 8}, "id": 3})
    {'rater model': 'als', 'rater rank': 8, 'id': 3}
    """
    level: dict[str, Any] = {}
    for name, value in known.items():
        level |= flat(value, f"{prefix}{name} ") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return level


@contextmanager
def iterations(label: str, score: str = "RMSE") -> Iterator[Callable[..., None]]:
    """Show a bar while models learn: call it with (done, total, score or None) and perhaps a new label."""
    columns = (TextColumn("{task.completed}/{task.total}"), TextColumn("{task.fields[score]}"))
    with _bars(*columns) as bars:
        task = bars.add_task(label, total=None, score="")

        def advance(done: int, total: int, value: float | None, label: str = label) -> None:
            shown = "" if value is None else f"{score} {value:.4f}"
            bars.update(task, description=label, completed=done, total=total, score=shown)

        yield advance


@contextmanager
def download(label: str) -> Iterator[Any]:
    """Show a bar while bytes arrive: call it with (bytes so far, bytes in all or None)."""
    with _bars(DownloadColumn()) as bars:
        task = bars.add_task(label, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def _bars(*columns: Any) -> Progress:
    console = _console(sys.stderr)
    label = TextColumn("{task.description}")
    return Progress(
        label,
        BarColumn(),
        *columns,
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _console(stream: TextIO) -> Console:
    return Console(file=stream, width=None if stream.isatty() else UNWRAPPED, highlight=False, emoji=False)


def _plain(value: Any) -> Any:
    match value:
        case Mapping():
            return {str(name): _plain(part) for name, part in value.items()}
        case list() | tuple():
            return [_plain(part) for part in value]
        case float():
            return value if math.isfinite(value) else None
    return _plain(value.tolist()) if hasattr(value, "tolist") else value
