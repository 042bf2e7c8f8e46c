"""The output of commands: tables for people, JSON for programs, progress meanwhile.

Results go to standard output, everything else to standard error. On a stream that is not a terminal there are no
colours, lines of progress instead of bars, and no wrapped lines.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, ProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table as Grid

from matinee.errors import MatineeError
from matinee.progress import Progress
from matinee.table import Table, texts

if TYPE_CHECKING:
    from matinee.evaluation import Report

UNWRAPPED = 1_000  # columns of what is not a terminal
LINE_SECONDS = 10.0  # between two lines of progress
TITLE_WIDTH = 22  # columns that a title keeps where the terminal is narrow


def complain(message: str) -> None:
    """Print the error of a command on standard error, in one line."""
    _console(sys.stderr).print(f"[bold red]error:[/] {escape(' '.join(message.split()))}", soft_wrap=True)


def remark(message: str) -> None:
    """Print a note for the reader on standard error."""
    _console(sys.stderr).print(escape(message), soft_wrap=True)


def line(text: str) -> None:
    """Print one line of a result."""
    with _written():
        _console(sys.stdout).print(escape(text), soft_wrap=True)


def document(content: Any) -> None:
    """Print JSON at once, as a service goes on after it; a number that JSON does not have becomes null."""
    knows_all_letters = "utf" in (sys.stdout.encoding or "").lower()
    text = json.dumps(_plain(content), ensure_ascii=not knows_all_letters, indent=2, allow_nan=False)
    with _written():
        print(text, flush=True)


def result(table: Table, as_json: bool, **more: Any) -> None:
    """Print a table with its note, or both and `more` as JSON."""
    if as_json:
        document({"rows": list(table), "note": table.note, **more})
        return
    grid(table.columns, (list(row.values()) for row in table))
    note(table)


def note(table: Table) -> None:
    """Print the note of a table."""
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
    """Print names and values below each other, without those that are None."""
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
    with _written():
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
def iterations(step: str, score: str = "RMSE") -> Iterator[Progress]:
    """Report the iterations of a long call: a bar with the time left, or without a terminal a line now and then."""
    columns = (TextColumn("{task.completed}/{task.total}"), TextColumn("{task.fields[score]}"))
    with _reported(step, score, *columns) as progress:
        yield progress


@contextmanager
def bytes_so_far(step: str) -> Iterator[Progress]:
    """Report bytes as they arrive, in the same way; done and total are bytes."""
    with _reported(step, "", DownloadColumn()) as progress:
        yield progress


@contextmanager
def _reported(step: str, score: str, *columns: ProgressColumn) -> Iterator[Progress]:
    console = _console(sys.stderr)
    if not console.is_terminal:
        yield _Lines(score).advance
        return
    times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    with Bars(TextColumn("{task.description}"), BarColumn(), *columns, *times, console=console, transient=True) as bars:
        task = bars.add_task(step, total=None, score="")
        running = step

        def advance(step: str, done: int, total: int | None, value: float | None) -> None:
            nonlocal running
            if step != running:
                bars.reset(task)
                running = step
            bars.update(task, description=step, completed=done, total=total, score=_scored(score, value))

        yield advance


class _Lines:
    """Progress as lines on standard error, at most one in LINE_SECONDS, for logs and pipes."""

    def __init__(self, score: str) -> None:
        self._score, self._step = score, ""
        self._start = self._written = time.monotonic()

    def advance(self, step: str, done: int, total: int | None, value: float | None) -> None:
        now = time.monotonic()
        if step != self._step:
            self._step, self._start = step, now
        if now - self._written < LINE_SECONDS:
            return
        self._written = now
        of = "" if total is None else f" of {total:,}"
        left = f", {(now - self._start) / done * (total - done):.0f} s left" if total and done else ""
        score = f", {_scored(self._score, value)}" if value is not None else ""
        remark(f"{step}: {done:,}{of}{score}{left}")


def _scored(name: str, value: float | None) -> str:
    return "" if value is None else f"{name} {value:.4f}"


@contextmanager
def _written() -> Iterator[None]:
    """Raise MatineeError where standard output cannot be written; that nobody reads it any more is no error."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as problem:
        raise MatineeError(
            f"standard output cannot be written: {problem.strerror}; write to another file or disk"
        ) from problem


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
