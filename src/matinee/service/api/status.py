"""What watches a service: is it up, can it answer, what does it answer from."""

from __future__ import annotations

import logging
from importlib.metadata import version
from typing import Any, Literal

from flask import current_app
from pydantic import BaseModel, Field

from matinee import refit
from matinee.service.api.admin import Refit, shown
from matinee.service.api.routing import Fields, route
from matinee.service.api.schemas import Answered
from matinee.service.data_facts import data_facts
from matinee.service.problems import NotReadyError
from matinee.service.rows import movie_rows, told_list
from matinee.service.serving import live, recommender, serving_of

TRIED = 5  # movies that the person of a trial has rated

log = logging.getLogger("matinee.service")


class Health(Answered):
    """The process answers."""

    status: Literal["ok"]


class Readiness(Answered):
    """The process can answer visitors."""

    status: Literal["ready"]
    trouble: str | None = Field(description="why the newest snapshot is not served, where an older one is")


class ScaleFacts(BaseModel):
    """The stars that a rating can have."""

    low: float
    high: float
    step: float | None


class DataFacts(BaseModel):
    """What the answers rest on."""

    name: str
    licence: str
    simulated: bool = Field(description="true where no person gave these ratings")
    ratings: int
    users: int
    movies: int
    mean: float
    scale: ScaleFacts


class LiveFacts(BaseModel):
    """Ratings and marks added after the snapshot."""

    ratings: int


class Status(Answered):
    """What the service answers from."""

    version: str
    metrics: dict[str, Any] = Field(description="the snapshot's measured quality, empty where it was not measured")
    trouble: str | None = Field(description="why the newest snapshot is not served, such as a damaged file")
    data: DataFacts
    live: LiveFacts
    refit: Refit | None = Field(description="how the last refit went or goes, null before the first")


@route("GET", "/healthz", prefix="", scope="public", summary="Get the process's health", answer=Health)
def get_health() -> Fields:
    return {"status": "ok"}


@route("GET", "/readyz", prefix="", scope="public", summary="Get the service's readiness", answer=Readiness)
def get_readiness() -> Fields:
    """A snapshot is open that is not known to be damaged, lists can be made, and the live ratings can be read."""
    serving = serving_of(current_app)
    live().revision("")
    if serving.damaged:
        raise NotReadyError(f"what is served is damaged, and there is nothing to go back to: {serving.trouble}")
    if serving.fails:
        raise NotReadyError("the last lists ended in an unexpected error; the service's log has the details")
    _try_a_list()
    return {"status": "ready", "trouble": serving.trouble}


def _try_a_list() -> None:
    """Make a list for a person who likes the most rated movies. Raises NotReadyError where that fails."""
    rows, scale = movie_rows(), recommender().dataset.ratings.scale
    try:
        liked = dict.fromkeys(rows.ids(rows.most_rated[:TRIED]), scale.high)
        told_list(recommender().recommend(liked))
    except Exception as error:
        log.exception("making a list failed", exc_info=error)
        raise NotReadyError("making a list failed; the service's log has the details") from None


@route("GET", "/status", scope="public", summary="Get the service's status", answer=Status)
def get_status() -> Fields:
    """The snapshot, its measured quality, the data, and how the last refit went."""
    found, refitting = recommender(), refit.state(live())
    return {
        "version": version("matinee"),
        "metrics": found.metrics,
        "trouble": serving_of(current_app).trouble,
        "data": data_facts(found.dataset),
        "live": {"ratings": live().count()},
        "refit": None if refitting is None else shown(refitting),
    }
