"""Splits: which ratings a model may see, and which it is asked about. Every draw takes `rng`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from matinee.ids import Positions
from matinee.kernels import Csr
from matinee.ratings import Ratings, Stars


@dataclass(frozen=True, eq=False)
class Pairs:
    """Held-out ratings: users (n,) and movies (n,) as positions, stars (n,)."""

    users: Positions
    movies: Positions
    stars: Stars

    def __len__(self) -> int:
        return len(self.users)


@dataclass(frozen=True, eq=False)
class Split:
    """What a model is fitted on and what it is asked.

    train        the ratings a model may see; same users and movies (positions) as the data set
    histories    (n_users, n_movies) what is folded in for each user when asked: the training ratings, or
                 for visitors who are held out of training the few ratings they reveal
    validation   pairs to choose by, None where there are none
    test         pairs to measure on
    protocol     one line that says how the split was made, printed with every result
    """

    train: Ratings
    histories: Csr
    test: Pairs
    validation: Pairs | None
    protocol: str


def generator(rng: int | np.random.Generator) -> np.random.Generator:
    """Return the generator of a seed, or the generator itself."""
    return np.random.default_rng(rng)
