"""Progress: how far a long call has come, for those who wait."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int | None, float | None], None]
"""Called as progress(step, done, total, score) after each iteration, candidate or chunk.

step    what runs now: a model's name, a part of a refit, a phase of Spark
total   None while it is unknown
score   the training RMSE or the candidate's score, None where the step has none
"""


def named(progress: Progress | None, step: str) -> Progress | None:
    """Return a Progress that reports everything under one name, None where nobody waits."""
    if progress is None:
        return None
    report = progress

    def advance(_: str, done: int, total: int | None, score: float | None) -> None:
        report(step, done, total, score)

    return advance


def silent(step: str, done: int, total: int | None, score: float | None) -> None:
    """Report to nobody."""
