"""Search: which candidates to try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from matinee.errors import UsageError
from matinee.models import Config
from matinee.models.registry import with_values

Grid = Mapping[str, Sequence[Any]]


def grid_candidates(config: Config, grid: Grid) -> list[Config]:
    """Return every combination of the settings.

    Raises UsageError where the model has no such setting, or it cannot have such a value.
    """
    for name, values in grid.items():
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise UsageError(f"tuning needs a list of values for {name}, such as [4, 8, 12], not {values!r}")
    return [with_values(config, dict(zip(grid, values, strict=True))) for values in product(*grid.values())]
