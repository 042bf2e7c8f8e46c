"""The versioned interface, and what watches a service: is it up, can it answer, what does it answer from."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from flask import Blueprint, Response, current_app, jsonify

from matinee.dataset import Dataset
from matinee.service.serving import live, recommender, serving_of

routes = Blueprint("api", __name__)


@routes.get("/healthz")
def healthz() -> Response:
    """The process answers."""
    return jsonify({"status": "ok"})


@routes.get("/readyz")
def readyz() -> Response:
    """The process can answer visitors: a snapshot is open and the live ratings can be read."""
    live().revision("")
    return jsonify({"status": "ready", "snapshot": recommender().snapshot_id})


@routes.get("/api/v1/status")
def status() -> Response:
    """What the service answers from: the snapshot, its measured quality, and the data."""
    found, serving = recommender(), serving_of(current_app)
    return jsonify(
        {
            "version": version("matinee"),
            "snapshot": found.snapshot_id,
            "metrics": found.metrics,
            "trouble": serving.trouble,
            "data": data_facts(found.dataset),
            "live": {"ratings": live().count()},
        }
    )


def data_facts(dataset: Dataset) -> dict[str, Any]:
    """What the answers rest on; `simulated` is true where no person gave these ratings."""
    ratings, facts = dataset.ratings, dataset.facts
    return {
        "name": facts.name,
        "licence": facts.licence,
        "simulated": facts.simulated,
        "ratings": ratings.n,
        "users": len(ratings.users),
        "movies": len(ratings.movies),
        "mean": round(ratings.mean, 4),
        "scale": {"low": ratings.scale.low, "high": ratings.scale.high},
    }
