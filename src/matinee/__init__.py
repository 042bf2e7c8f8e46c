"""Matinee: an on-line movie recommender.

    import matinee as mt
    ds = mt.load("ml-latest-small")                       # or a path, a zip, a data frame, "sample"
    rec = mt.Recommender.fit(ds)
    rec.recommend({"Toy Story (1995)": 4, "Heat": 5})

Names are imported when they are first used, so that `import matinee` takes no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matinee.datasets import load as load
    from matinee.datasets.fetch import fetch as fetch
    from matinee.datasets.synthetic import synthetic as synthetic
    from matinee.errors import MatineeError as MatineeError
    from matinee.errors import PlausibilityWarning as PlausibilityWarning
    from matinee.evaluation import evaluate as evaluate
    from matinee.models.als import ALS as ALS
    from matinee.models.baselines import Bias as Bias
    from matinee.models.baselines import Popular as Popular
    from matinee.models.bayes import Bayes as Bayes
    from matinee.models.blend import Blend as Blend
    from matinee.models.ease import Ease as Ease
    from matinee.models.ials import IALS as IALS
    from matinee.ratings import Scale as Scale
    from matinee.recommender import Filters as Filters
    from matinee.recommender import Recommender as Recommender
    from matinee.service import serve as serve
    from matinee.snapshot import Store as Store
    from matinee.training import train as train
    from matinee.tuning import tune as tune

PLACES = {
    "ALS": "models.als",
    "IALS": "models.ials",
    "Bayes": "models.bayes",
    "Bias": "models.baselines",
    "Blend": "models.blend",
    "Ease": "models.ease",
    "Filters": "recommender",
    "MatineeError": "errors",
    "PlausibilityWarning": "errors",
    "Popular": "models.baselines",
    "Recommender": "recommender",
    "Scale": "ratings",
    "Store": "snapshot",
    "evaluate": "evaluation",
    "fetch": "datasets.fetch",
    "load": "datasets",
    "serve": "service",
    "synthetic": "datasets.synthetic",
    "train": "training",
    "tune": "tuning",
}
"""Where each public name is."""

__all__ = [*PLACES, "__version__"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("matinee")
    if name not in PLACES:
        raise AttributeError(f"module 'matinee' has no attribute {name!r}")
    value = getattr(import_module(f"matinee.{PLACES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
