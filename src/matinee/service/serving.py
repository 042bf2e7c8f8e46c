"""Serving: what all requests of a process share, and the one snapshot that each request keeps to."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from http import HTTPStatus

from flask import Flask, Response, current_app, g, request

from matinee.live import LiveRatings
from matinee.ratings import Scale
from matinee.recommender import Recommender
from matinee.snapshot import Store

LISTS = frozenset(
    {
        "/",
        "/parts/tonight",
        "/<user>/ratings/top/<n>",
        "/api/v1/recommendations",
        "/api/v1/users/<user>/recommendations",
        "/api/v1/rooms/<room>/recommendations",
        "/rooms/<token>",
    }
)
"""The routes that answer by a list."""
FAILURES, FAILS_FOR = 3, 60.0  # lists, and seconds

log = logging.getLogger("matinee.service")


@dataclass(eq=False)
class Serving:
    """The recommender that answers now, replaced whole when a snapshot is published, and the live ratings.

    trouble   why the newest snapshot cannot be served, where that is so
    damaged   whether what answers is known to be damaged, and there is nothing else to answer from
    failures  lists one after the other that ended in an unexpected error, and when the last did
    """

    recommender: Recommender
    live: LiveRatings
    tutorial_scale: Scale | None = None
    store: Store | None = None
    trouble: str | None = None
    damaged: bool = False
    failures: int = 0
    failed_at: float = 0.0

    def switch(self, recommender: Recommender) -> None:
        """Answer from this recommender, beginning with the next request."""
        self.recommender, self.trouble = recommender, None
        self.damaged, self.failures = False, 0

    def stay(self, trouble: str, instead: Recommender | None = None) -> None:
        """Keep the present recommender, or answer from another instead, because of trouble with the newest one.

        Where the store is only the log tells.
        """
        told = trouble if self.store is None else trouble.replace(f"{self.store.path}{os.sep}", "")
        is_news, self.trouble = told != self.trouble or instead is not None, told
        if instead is not None:
            self.recommender, self.damaged, self.failures = instead, False, 0
        if is_news:
            log.error("snapshot %s is served on: %s", self.recommender.snapshot_id, trouble)

    def note_list(self, status: int) -> None:
        """Note how a list was answered."""
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            self.failures, self.failed_at = self.failures + 1, time.monotonic()
        else:
            self.failures = 0

    @property
    def fails(self) -> bool:
        """Whether the last lists all ended in an unexpected error, a short while ago."""
        return self.failures >= FAILURES and time.monotonic() - self.failed_at < FAILS_FOR


def install(app: Flask, serving: Serving) -> None:
    app.extensions["matinee"] = serving

    @app.before_request
    def keep_to_one_snapshot() -> None:
        g.recommender = serving.recommender

    @app.after_request
    def note_lists(answer: Response) -> Response:
        if request.url_rule is not None and request.url_rule.rule in LISTS:
            serving.note_list(answer.status_code)
        return answer


def serving_of(app: Flask) -> Serving:
    found: Serving = app.extensions["matinee"]
    return found


def recommender() -> Recommender:
    """Return the recommender of this request."""
    found: Recommender = g.recommender
    return found


def live() -> LiveRatings:
    return serving_of(current_app).live
