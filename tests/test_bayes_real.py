from __future__ import annotations

import numpy as np
import pytest

from matinee.datasets import load
from matinee.models.bayes import Bayes
from matinee.split import random


def measured(dataset, seed):
    split = random(dataset.ratings, "6:2:2", seed)
    model = Bayes().fit(split.train, dataset.catalog, threads=2)
    test = split.test
    warm = (split.train.movie_counts[test.movies] > 0) & (split.train.by_user.counts[test.users] > 0)
    errors, held = [], []
    for user in np.unique(test.users[warm]):
        asked = warm & (test.users == user)
        profile = model.fold_in(split.histories.rows(int(user), int(user) + 1))
        shown, truth = model.predict(profile, test.movies[asked]), test.stars[asked]
        errors.append(shown.stars[0] - truth)
        held.append((shown.low[0] <= truth) & (truth <= shown.high[0]))
    return float(np.sqrt(np.mean(np.concatenate(errors) ** 2))), float(np.mean(np.concatenate(held)))


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "seed", "at_most"),
    [("ml-latest-small-2015-04", 0, 0.870), ("ml-latest-small-2015-04", 1, 0.870), ("ml-latest-small", 0, 0.820)],
)
def test_real_ratings__are_predicted_as_well_as_promised_with_intervals_that_hold(movielens, name, seed, at_most):
    rmse, covered = measured(load(movielens(name)), seed)
    assert rmse <= at_most
    assert 0.87 <= covered <= 0.94
