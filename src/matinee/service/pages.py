"""The landing page: what this is, what it answers from, and how to ask it."""

from __future__ import annotations

from flask import Blueprint, render_template

from matinee.service import tutorial
from matinee.service.auth import access
from matinee.service.serving import recommender

TOP = 10
EXAMPLE_USER = "ann"

routes = Blueprint("pages", __name__)


@routes.get("/")
@access("public")
def landing() -> str:
    """Show a new visitor the films most worth watching, the facts of the data, and commands that work as they stand."""
    found = recommender()
    top = found.recommend(n=TOP)
    return render_template(
        "landing.html",
        facts=found.dataset.facts,
        ratings=found.dataset.ratings,
        snapshot=found.snapshot_id,
        top=list(top),
        note=top.note,
        scale=tutorial.scale(),
        user=EXAMPLE_USER,
    )
