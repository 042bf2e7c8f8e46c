"""Search: which candidates there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from matinee.errors import UsageError
from matinee.models import Config, SearchSpace
from matinee.models.registry import MODELS, by_name, with_values

Grid = Mapping[str, Sequence[Any]]


class Tried(NamedTuple):
    """A candidate, its score, and the seconds it took."""

    config: Config
    score: float
    seconds: float


def ranges(config: Config) -> SearchSpace:
    """Return the ends between which trials look for the model's settings.

    Raises UsageError where there is nothing to look for.
    """
    if not config.space:
        searchable = [name for name in MODELS if by_name(name).space]
        raise UsageError(f"{config.name} has no settings to search; {', '.join(searchable)} have some")
    return config.space


def check_grid(config: Config, grid: Grid) -> None:
    """Raise UsageError where the model has no such setting, or it cannot have such a value."""
    for name, values in grid.items():
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise UsageError(f"tuning needs a list of values for {name}, such as [4, 8, 12], not {values!r}")
        for value in values:
            with_values(config, {name: value})


def grid_candidates(config: Config, grid: Grid) -> list[Config]:
    """Return every combination of the settings.

    Raises UsageError where the model has no such setting, or it cannot have such a value.
    """
    check_grid(config, grid)
    return [with_values(config, dict(zip(grid, values, strict=True))) for values in product(*grid.values())]
