"""Mine: a visitor's ratings and marks, to read, change, import, export, open elsewhere or forget.

The scripts write through /api/v1; the forms here do the same for a browser without them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from flask import Response, render_template, request, url_for
from pydantic import ValidationError
from werkzeug.datastructures import FileStorage

from matinee.datasets.matching import GROUPS
from matinee.errors import UsageError
from matinee.live import identities
from matinee.service import auth, border, users
from matinee.service.api import ratings
from matinee.service.api.reading import JSON, Upload, is_of_another_site
from matinee.service.auth import access
from matinee.service.auth.limits import MOST_RATINGS
from matinee.service.bodies import MOST_UPLOADED
from matinee.service.movies import facts
from matinee.service.pages.blueprint import routes, texts
from matinee.service.pages.codes import code, is_local
from matinee.service.pages.cookies import AFTER, MOMENT, keep, keep_unknown, kept
from matinee.service.pages.films import known_film
from matinee.service.pages.formatting import Film
from matinee.service.pages.visitors import known_visitor, on_to, own, secret, visitor, welcomed
from matinee.service.serving import live

AT_ONCE = 50
MOST_LINES, MOST_LOOSE = 50, 20  # shown of an import
PLACES = {"report": "brought", "link": "elsewhere"}
"""Where the page shows what a form has done."""
MARKS = ("watchlist", "seen", "hidden")


@routes.get("/mine")
@access("public")
def mine() -> Response:
    """Show what the visitor rated and marked, and once what a form has done."""
    after = kept(AFTER)
    answer = welcomed(_mine(**_shown(after)))
    return secret(keep(answer, AFTER, (), 0)) if after else answer


@routes.get("/mine/<any(import, forget, link, unlink):form>")
@access("public")
def after_form(form: str) -> Response:
    """Lead to the page with the form whose address this is."""
    return on_to(url_for("pages.mine"))


@routes.post("/say/<movie>")
@access("write")
def say(movie: str) -> Response:
    """Rate or mark a film, or take that back: a form with `stars` or `mark`, empty for none; or do not know it."""
    user, form = known_visitor(), request.form
    known_film(movie)
    if "unknown" in form:
        return keep_unknown(on_to(_back()), movie)
    if form.get("mark") is not None:
        _mark(user, movie, form["mark"])
    elif form.get("stars") is not None:
        _rate(user, movie, form["stars"])
    else:
        raise UsageError("choose stars first; go back and click on one")
    return on_to(_back())


@routes.post("/mine/import")
@access("write")
def bring() -> Response:
    """Take a file that another site exported, and show what was found in it."""
    request.max_content_length = MOST_UPLOADED
    user, file = known_visitor(), request.files.get("file")
    if file is None or not file.filename:
        raise UsageError("choose a file first; go back and pick the CSV or zip that you exported")
    query = ratings.FileScale(scale=request.form.get("scale") or None, kind=None)
    answer: Any = ratings.import_ratings(user=user, query=query, body=_exported(file), name=str(file.filename))
    return _then("report", *_words(answer))


@routes.post("/mine/forget")
@access("write")
def forget() -> Response:
    """Forget the visitor at once, and welcome a new one."""
    users.forget(known_visitor())
    return auth.sign_in(_then("forgotten"), auth.new_visitor())


@routes.post("/mine/link")
@access("write")
def open_link() -> Response:
    """Make the link that opens one's ratings on another device; it replaces the former one."""
    return _then("link", identities.open_link(live(), known_visitor()))


@routes.post("/mine/unlink")
@access("write")
def close_link() -> Response:
    """Void the link."""
    identities.close_link(live(), known_visitor())
    return on_to(url_for("pages.mine"))


@routes.get("/link/<token>")
@access("public")
def link(token: str) -> Response:
    """Ask whether to open the ratings of a link in this browser."""
    user = identities.user_of_link(live(), token)
    said = own()
    leaves = user != visitor() and (said.stars or said.marks)
    return welcomed(render_template("link.html", token=token, leaves=bool(leaves), rated=len(said.stars)))


@routes.post("/link/<token>")
@access("write")
def follow_link(token: str) -> Response:
    """Be the visitor of a link from now on."""
    user = identities.user_of_link(live(), token)
    return auth.sign_in(on_to(url_for("pages.mine")), user)


def _words(answer: Mapping[str, Any]) -> list[str]:
    """Return an import's report as words that a browser keeps: counts, then what of the rest fits, with its letter."""
    t, marked = texts()["mine"], answer["marked"]
    counts = answer["lines"], answer["stored"], marked["seen"], marked["watchlist"], answer["loose_lines"]
    loose = [t["loose_line"].format(**one) for one in answer["loose"][:MOST_LOOSE]]
    lines = [t["line"].format(**one) for one in answer["unmatched"][:MOST_LINES]]
    return [
        *map(str, counts),
        *(f"g{group['kind']}={group['lines']}" for group in answer["groups"]),
        *(f"n{note}" for note in answer["notes"]),
        *(f"o{line}" for line in loose),
        *(f"u{line}" for line in lines),
    ]


def _report(words: Sequence[str]) -> dict[str, Any]:
    """Return what the page shows of an import; nothing without a valid import."""
    names = ("lines", "stored", "seen", "watchlist", "loose_lines")
    counts = _numbers(words[: len(names)])
    if len(counts) < len(names):
        return {}
    of = {letter: [word[1:] for word in words[len(names) :] if word[0] == letter] for letter in "gnou"}
    split = (group.partition("=")[::2] for group in of["g"])
    groups = [(kind, n) for kind, text in split if kind in GROUPS for n in _numbers([text])]
    rest = {"groups": groups, "notes": of["n"], "loose": of["o"], "unmatched": of["u"]}
    return {"report": dict(zip(names, counts, strict=True)) | rest}


def _then(what: str, *words: str) -> Response:
    """Return the way to the page, which shows once what a form has done."""
    page: dict[str, Any] = {"from": request.args["from"]} if "from" in request.args else {}
    place = url_for("pages.mine", _anchor=PLACES.get(what), **page)
    return secret(keep(on_to(place), AFTER, (what, *words), MOMENT))


def _shown(after: Sequence[str]) -> dict[str, Any]:
    """Return what the page shows of what a form has done; nothing for invalid values."""
    match after:
        case ["forgotten"]:
            return {"forgotten": True}
        case ["link", token] if identities.opens(live(), token, visitor()):
            link = url_for("pages.link", token=token, _external=True)
            return {"link": link, "code": code(link)}
        case ["report", *words]:
            return _report(words)
    return {}


def _numbers(texts: Iterable[str]) -> list[int]:
    found = (border.whole_number(text, 0, MOST_RATINGS) for text in texts)
    return [number for number in found if number is not None]


def _mine(**shown: object) -> str:
    said, user = own(), visitor()
    shown |= {"local": is_local(), "linked": user is not None and identities.has_link(live(), user)}
    films = {film["movie"]: film for film in facts([*said.stars, *said.marks])}
    rated = sorted(said.stars, key=lambda movie: (-said.stars[movie], films[movie]["title"]))
    first = _first(len(rated))
    page = [films[movie] for movie in rated[first : first + AT_ONCE]]
    place = {"first": first, "before": max(first - AT_ONCE, 0), "after": first + AT_ONCE, "count": len(rated)}
    return render_template("mine.html", said=said, rated=page, place=place, marked=_marked(said.marks, films), **shown)


def _marked(said: Mapping[str, str], films: Mapping[str, Film]) -> Mapping[str, Sequence[Film]]:
    return {mark: [films[movie] for movie, one in said.items() if one == mark] for mark in MARKS}


def _first(count: int) -> int:
    text = request.args.get("from", "0")
    return border.whole_number(text, 0, count - 1) or 0


def _exported(file: FileStorage) -> ratings.RatingsImport | Upload:
    """Return what a file holds: what was saved here as JSON, or another site's export as it is."""
    content = file.read()
    if not content.lstrip().startswith(b"{") or is_of_another_site(JSON, content):
        return Upload(file.mimetype, content)
    try:
        return ratings.RatingsImport.model_validate_json(content, strict=True)
    except ValidationError:
        raise UsageError("the file is JSON, but not what is saved here; choose the file that was saved") from None


def _rate(user: str, movie: str, text: str) -> None:
    if not text:
        users.delete_rating(user, movie)
    elif (stars := _number(text)) is not None:
        users.rate(user, movie, stars)
    else:
        raise _impossible(text)


def _mark(user: str, movie: str, text: str) -> None:
    if not text:
        users.delete_mark(user, movie)
    elif text in MARKS:
        users.mark(user, movie, text)
    else:
        raise _impossible(text)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _impossible(text: str) -> UsageError:
    return UsageError(f"{text[:40]!r} is nothing a film can be given")


def _back() -> str:
    """Return the page of ours that a form was on."""
    came = urlsplit(request.referrer or "")
    if came.netloc != request.host or not came.path.startswith("/") or came.path.startswith(("//", "/\\")):
        return url_for("pages.home")
    return came._replace(scheme="", netloc="").geturl()
