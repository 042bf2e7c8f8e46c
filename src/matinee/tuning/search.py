"""Search: which candidates there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from matinee.errors import UsageError
from matinee.models import Config
from matinee.models.registry import with_values

Grid = Mapping[str, Sequence[Any]]

SPACES: dict[str, dict[str, tuple[float, float]]] = {
    "bias": {"movie_damping": (0.5, 50.0), "user_damping": (0.5, 50.0)},
    "als": {"rank": (2, 64), "reg": (0.01, 1.0)},
    "bayes": {"rank": (7, 63), "who_rated": (8, 128)},
    "ease": {"reg": (5.0, 500.0), "star_weight": (0.01, 1.0), "count_exponent": (0.01, 0.5)},
    "ials": {"rank": (16, 256), "reg": (0.0005, 0.1), "alpha0": (0.02, 1.0), "nu": (0.2, 1.0)},
    "blend": {"weight": (0.05, 2.0)},
}
"""The ends between which trials look for each model's settings, on a logarithmic scale."""


class Tried(NamedTuple):
    """A candidate, its score, and the seconds it took."""

    config: Config
    score: float
    seconds: float


def ranges(config: Config) -> dict[str, tuple[float, float]]:
    """Return the ends between which trials look for the model's settings.

    Raises UsageError where there is nothing to look for.
    """
    if config.name not in SPACES:
        raise UsageError(f"{config.name} has no settings to search; there are {', '.join(SPACES)}")
    return SPACES[config.name]


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
