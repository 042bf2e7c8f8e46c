"""The blueprint that all pages are routes of, and what all of them are written with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, render_template, request
from flask.sansio.blueprints import BlueprintSetupState

from matinee.service.files import files
from matinee.service.serving import recommender

TEXTS = Path(__file__).with_name("texts.json")
PROBLEM, HTML = "application/problem+json", "text/html"
OF_PROGRAMS = ("/api/", "/parts/")

routes = Blueprint("pages", __name__)


@cache
def texts() -> Mapping[str, Any]:
    """Return every text of the page, by where it stands."""
    found: Mapping[str, Any] = json.loads(TEXTS.read_text("utf-8"))
    return found


@routes.record_once
def _speak(state: BlueprintSetupState) -> None:
    page = state.app.jinja_env
    page.globals["t"] = texts()
    page.trim_blocks = page.lstrip_blocks = True


@cache
def modules() -> list[str]:
    """Return the scripts' modules, as the static files name them."""
    return [name for name in files() if name.startswith("page/")]


@routes.app_context_processor
def _written_with() -> dict[str, Any]:
    found = recommender()
    facts, ratings = found.dataset.facts, found.dataset.ratings
    return {"modules": modules(), "snapshot": found.snapshot_id, "facts": facts, "ratings": ratings}


@routes.after_app_request
def as_page(answer: Response) -> Response:
    """Write a problem as a page where a person's browser asked for one."""
    if answer.status_code < HTTPStatus.BAD_REQUEST or answer.mimetype != PROBLEM:
        return answer
    if HTML in request.headers.get("Accept", "") and not request.path.startswith(OF_PROGRAMS):
        detail = json.loads(answer.get_data())["detail"]
        answer.set_data(render_template("error.html", detail=detail, missing=answer.status_code == 404))
        answer.mimetype = HTML
    return answer
