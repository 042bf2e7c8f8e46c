"""Serving: what all requests of a process share, and the one snapshot that each request keeps to."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass

from flask import Flask, current_app, g

from matinee.live import LiveRatings
from matinee.ratings import Scale
from matinee.recommender import Recommender
from matinee.snapshot import Store

log = logging.getLogger("matinee.service")


@dataclass(eq=False)
class Serving:
    """The recommender that answers now, replaced whole when a snapshot is published, and the live ratings.

    trouble   why the newest snapshot cannot be served, where that is so
    leaving   whether this process is about to end: each answer is the last on its connection
    """

    recommender: Recommender
    live: LiveRatings
    tutorial_scale: Scale | None = None
    store: Store | None = None
    trouble: str | None = None
    leaving: bool = False

    def switch(self, recommender: Recommender) -> None:
        """Answer from this recommender, beginning with the next request."""
        self.recommender, self.trouble = recommender, None

    def stay(self, trouble: str) -> None:
        """Keep the present recommender because of trouble with a newer one; where the store is only the log tells."""
        told = trouble if self.store is None else trouble.replace(f"{self.store.path}{os.sep}", "")
        if told != self.trouble:
            log.error("snapshot %s is served on: %s", self.recommender.snapshot_id, trouble)
        self.trouble = told


def install(app: Flask, serving: Serving) -> None:
    app.extensions["matinee"] = serving

    @app.before_request
    def keep_to_one_snapshot() -> None:
        g.recommender = serving.recommender


def serving_of(app: Flask) -> Serving:
    found: Serving = app.extensions["matinee"]
    return found


def recommender() -> Recommender:
    """Return the recommender of this request."""
    found: Recommender = g.recommender
    return found


def live() -> LiveRatings:
    return serving_of(current_app).live
