"""Home: the list, the films to rate, and the search, whole and in parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Response, render_template, request

from matinee.errors import UsageError
from matinee.recommender import Filters
from matinee.service import border
from matinee.service.auth import access
from matinee.service.movie_search import find
from matinee.service.pages.blueprint import routes
from matinee.service.pages.cards import CARDS, cards
from matinee.service.pages.choice import Choice
from matinee.service.pages.cookies import unknown
from matinee.service.pages.formatting import Film
from matinee.service.pages.tonight import chips, tonight
from matinee.service.pages.visitors import own, part, visitor, welcomed

TABS = ("tonight", "rate")
SUGGESTED = 8
FOUND = 50
MOST_WITHOUT = 300
ALL = Filters(min_ratings=0)


@routes.get("/")
@access("public")
def home() -> Response:
    """Show what to watch tonight and what to rate; a narrow screen shows one of both."""
    said = own()
    tab = request.args.get("tab", "")
    if tab not in TABS:
        tab = TABS[0] if said.stars or request.args else TABS[1]
    shown = _tonight()
    picked = [shown["list"].pick["movie"]] if shown["list"].personal and shown["list"].pick else []
    asked = cards(visitor(), unknown=unknown(), without=[*said.marks, *unknown(), *picked])
    return welcomed(render_template("home.html", tab=tab, cards=asked, rated=len(said.stars), **shown))


@routes.get("/parts/tonight")
@access("public")
def tonight_part() -> Response:
    """The list alone."""
    return part(render_template("tonight.html", **_tonight()))


@routes.get("/parts/cards")
@access("public")
def cards_part() -> Response:
    """More films to ask about."""
    lists = {name: border.first(request.args.getlist(name), MOST_WITHOUT) for name in ("unknown", "without")}
    lists["without"] += own().marks
    return part(render_template("cards.html", cards=cards(visitor(), _number("n", CARDS), **lists)))


@routes.get("/search")
@access("public")
def search() -> Response:
    """Show the films that a title means."""
    query = border.search_text(request.args.get("q", ""))
    return welcomed(render_template("search.html", query=query, films=_found(query, FOUND)))


@routes.get("/parts/search")
@access("public")
def search_part() -> Response:
    """The films that the beginning of a title may mean."""
    query = border.search_text(request.args.get("q", ""))
    return part(render_template("found.html", query=query, films=_found(query, SUGGESTED)))


def _tonight() -> dict[str, Any]:
    said, choice = own(), Choice.of(request.args)
    return {"list": tonight(visitor(), said, choice), "choice": choice, "chips": chips(), "said": said}


def _found(query: str, n: int) -> Sequence[Film]:
    return find(query, ALL).rows(0, n) if query else []


def _number(name: str, most: int) -> int:
    text = request.args.get(name, str(most))
    number = border.whole_number(text, 1, most)
    if number is None:
        raise UsageError(f"{name} is a whole number from 1 to {most}, not {text[:20]!r}")
    return number
