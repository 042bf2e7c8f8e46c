"""Facts of the data that a service answers from."""

from __future__ import annotations

from typing import Any

from matinee.dataset import Dataset


def data_facts(dataset: Dataset) -> dict[str, Any]:
    """Return what the answers rest on; `simulated` is true where no person gave these ratings."""
    ratings, facts = dataset.ratings, dataset.facts
    return {
        "name": facts.name,
        "licence": facts.licence,
        "simulated": facts.simulated,
        "ratings": ratings.n,
        "users": len(ratings.users),
        "movies": len(ratings.movies),
        "mean": round(ratings.mean, 4),
        "scale": {"low": ratings.scale.low, "high": ratings.scale.high, "step": ratings.scale.step},
    }
