"""A snapshot's factor model as two sides, users and movies, so that a score is x . y."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matinee.batch import blocks
from matinee.errors import UsageError
from matinee.models.als import AlsModel
from matinee.models.ials import IalsModel
from matinee.snapshot import Snapshot

Float32 = NDArray[np.float32]

PEOPLE = 65_536
"""People who are folded in at once."""


@dataclass(frozen=True, eq=False)
class Factored:
    """Users and movies by their external ids, with their factors.

    movies, Y   ids (m,) and factors (m, k) of the movies that have some
    """

    snapshot: Snapshot
    model: AlsModel | IalsModel
    movies: pa.StringArray
    Y: Float32

    @property
    def rank(self) -> int:
        return int(self.Y.shape[1])

    def users(self) -> Iterator[tuple[pa.StringArray, Float32]]:
        """Yield all people of the snapshot, folded in: ids (B,) and factors (B, k), some at a time."""
        for people, histories in blocks(self.snapshot.dataset.ratings, PEOPLE):
            profiles = self.model.fold_in(histories)
            yield people, profiles if isinstance(profiles, np.ndarray) else profiles.factors


def factored(snapshot: Snapshot, name: str | None = None) -> Factored:
    """Return a snapshot's `als` or `ials`; of both the one that is named, or the rater.

    Raises UsageError where it has none, or no people.
    """
    models = (snapshot.rater, *([snapshot.ranker] if snapshot.ranker else []))
    found = [one for one in models if isinstance(one, AlsModel | IalsModel) and name in (None, one.config.name)]
    if not found:
        raise UsageError(
            f"snapshot {snapshot.id} has {' and '.join(_name(one) for one in models)}, and no "
            f"{name or 'model of factors alone'} to export; train with --rater als or --ranker ials"
        )
    if not len(snapshot.dataset.ratings.users):
        raise UsageError(
            f"snapshot {snapshot.id} holds nobody's ratings, so there are no users' factors to export; import it again "
            "with --ratings"
        )
    model = found[0]
    has = model.rated if isinstance(model, AlsModel) else model.movie_factors.any(axis=1)
    movies = snapshot.dataset.catalog.ids.array.filter(pa.array(has))
    return Factored(snapshot, model, movies, model.movie_factors[has])


def _name(model: Any) -> str:
    return str(model.config.name)
