"""Which movie to ask a person about: the most informative one, among those the person is likely to know.

An answer about movie i makes what is predicted for movie j more certain by cov(i, j)^2 / var(i), so its gain is

    gain_i = sum_j share_j cov(i, j)^2 / var(i)        cov(i, j) = mean_s[y~_i^T C y~_j]
                                                       var(i) = mean_s[1 / (tau h_i) + y~_i^T C y~_i]

over movies j, share being their part of all ratings. The value of an answer is its gain times the probability that
the person knows the movie. That comes from who rated what: the components of `matinee.models.bayes.features` are
those of a correspondence analysis (Greenacre 1984, chapter 4), which reconstitutes the matrix of who rated what as

    knows_i = known_i (1 + sum_d q_id a_d / v_d / (n + 10))          v = mean of q^2 over all ratings
    a = sum of q_j over the movies j that were rated - 3 times the sum of known_j q_j over those that were not known

Symbols as in matinee.models.bayes.posterior; known is the share of users who rated a movie, n the person's ratings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matinee.ids import Positions
from matinee.kernels.posterior import posterior_covariances, posterior_scores
from matinee.models import Model
from matinee.models.bayes.features import PSEUDO_RATINGS
from matinee.models.bayes.posterior import BayesModel
from matinee.ratings import History, Ratings, batch

Float64 = NDArray[np.float64]

MOST_ASKED = 300
MOST_TARGETS = 300
MOST_LIFT = 20.0
UNKNOWN_WEIGHT = 3.0  # of a movie that the person did not know, measured: docs/log.md


@dataclass(frozen=True, eq=False)
class Questions:
    """Orders questions for any person; prepared once per model.

    rater     `bayes`; with another model, which does not measure information, the most rated movies come first
    known     (M,) the share of users who rated each movie
    variances (D,) v, of the components over all ratings
    targets   (J,) at most 300 movies that stand for all: each as many ratings after the one before
    shares    (J,) for how many of the ratings each stands
    """

    rater: Model
    known: Float64
    variances: Float64
    targets: Positions
    shares: Float64

    @classmethod
    def of(cls, rater: Model, ratings: Ratings) -> Questions:
        """Prepare the questions; `ratings` are those that the rater was fitted on."""
        counts, n_users = ratings.movie_counts, max(1, ratings.n_raters)
        places = (np.arange(MOST_TARGETS) + 0.5) / MOST_TARGETS * ratings.n
        targets, stand_for = np.unique(np.searchsorted(np.cumsum(counts), places), return_counts=True)
        components = rater.components if isinstance(rater, BayesModel) else np.empty((len(counts), 0))
        variances = counts @ np.square(components, dtype=np.float64) / ratings.n
        return cls(rater, counts / n_users, variances, targets.astype(np.int32), stand_for / MOST_TARGETS)

    @property
    def note(self) -> str:
        """The note for the reader about the order, if any."""
        if isinstance(self.rater, BayesModel):
            return ""
        return (
            f"the most rated movies: the rater {self.rater.config.name} does not measure how informative an answer is"
        )

    def values(self, history: History, unknown: Positions) -> Float64:
        """Return (M,) the value of asking about each movie, -inf for movies not to ask about.

        `unknown` (m,) are movies that the person did not know. Neither these nor rated movies are asked again, and of
        the rest only the 300 that the person most likely knows are considered.
        """
        knows = self.knows(history, unknown)
        knows[history.movies] = knows[unknown] = 0
        likely = np.argsort(-knows, kind="stable")[: min(MOST_ASKED, np.count_nonzero(knows))].astype(np.int32)
        values = np.full(len(knows), -np.inf)
        values[likely] = knows[likely] * self.gains(history, likely)
        return values

    def knows(self, history: History, unknown: Positions) -> Float64:
        """Return (M,) how likely the person is to know each movie."""
        if not isinstance(self.rater, BayesModel):
            return self.known.copy()
        components = self.rater.components
        evidence = components[history.movies].sum(axis=0)
        evidence = evidence - UNKNOWN_WEIGHT * self.known[unknown] @ components[unknown]
        weights = evidence / np.maximum(self.variances, np.finfo(np.float64).tiny) / (len(history) + PSEUDO_RATINGS)
        # einsum runs in one thread, where a BLAS would start its own for a millisecond's work.
        lift = 1 + np.einsum("md,d->m", components, weights.astype(np.float32))
        lift = np.clip(lift, 1 / MOST_LIFT, MOST_LIFT)
        likely: Float64 = np.minimum(self.known * lift, 1.0)
        return likely

    def gains(self, history: History, movies: Positions) -> Float64:
        """Return (m,) by how much the answer about each movie shrinks the variance of what would be predicted."""
        if not isinstance(self.rater, BayesModel):
            return np.ones(len(movies))
        samples, one = self.rater.samples, batch([history], len(self.known))
        covariances = posterior_covariances(one, samples.rated, samples.prior_precisions)[:, 0]
        rows = samples.asked.Y[movies].reshape(len(movies), samples.n, -1).swapaxes(0, 1)
        reach = np.einsum("smk,skl->sml", rows, covariances.astype(np.float32))
        unbiased = samples.asked._replace(offsets=np.zeros_like(samples.asked.offsets))
        shared = posterior_scores(reach, unbiased, self.targets)
        noise = 1 / samples.asked.precisions[movies].T
        variances = np.mean(np.sum(reach * rows, axis=2) + noise, axis=0)
        gains: Float64 = np.square(shared, dtype=np.float64) @ self.shares / variances
        return gains
