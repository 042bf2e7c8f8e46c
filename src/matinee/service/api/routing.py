"""The route table: each route of the versioned interface is declared once, for Flask and for the OpenAPI document.

    @route("GET", "/users/{user}/ratings", scope="read", summary="...", query=RatingsQuery, answer=RatingsPage)
    def list_ratings(user: str, query: RatingsQuery) -> Fields: ...

A view gets the checked parts of the path by name, and `query` and `body` as the declared models; it returns the fields
of the answer, without "snapshot", which is added, or a whole Response. Answers with a "revision" carry an ETag, and a
GET about a user gets 304 if nothing changed. Answers of routes that are not public have a private Cache-Control.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Any, Literal

import orjson
from flask import Blueprint, Response, request
from pydantic import BaseModel

from matinee.live import checked_id
from matinee.service.api import reading
from matinee.service.api.schemas import Asked
from matinee.service.auth.access import Scope
from matinee.service.serving import live, recommender

PREFIX = "/api/v1"
PRIVATE = "private, no-cache"  # how long it may be kept: by who asked, who asks anew each time
Method = Literal["GET", "POST", "PUT", "DELETE"]
Fields = Mapping[str, Any]
View = Callable[..., Fields | Response]

routes = Blueprint("api", __name__)
TABLE: list[Endpoint] = []


@dataclass(frozen=True)
class Route:
    """What is declared of a route.

    path        as in OpenAPI, "/users/{user}/ratings"; below `prefix`
    scope       what a caller's key must hold, "public" for every client
    query, body, answer     pydantic models, or None for none
    uploads     media types that the body may have besides JSON: the view then gets a reading.Upload
    problems    statuses besides those that follow from the rest
    status      of a success
    prefix      "" for what is watched at the root
    """

    method: Method
    path: str
    scope: Scope
    summary: str
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    uploads: tuple[str, ...] = ()
    problems: tuple[int, ...] = ()
    status: int = HTTPStatus.OK
    prefix: str = PREFIX

    @cached_property
    def owned(self) -> bool:
        """Whether it belongs to the user in its path."""
        return "user" in self.parts

    @property
    def parts(self) -> tuple[str, ...]:
        """The names in the path.

        >>> Route("GET", "/users/{user}/ratings/{movie}", "read", "One rating").parts
        ('user', 'movie')
        """
        return tuple(re.findall(r"{(\w+)}", self.path))

    @property
    def url(self) -> str:
        """The whole path, as in the document."""
        return self.prefix + self.path

    @property
    def rule(self) -> str:
        """The whole path, as Flask writes it."""
        return re.sub(r"{(\w+)}", r"<\1>", self.url)


@dataclass(frozen=True)
class Endpoint:
    """What Flask calls: checks what was asked by the route's models, calls the view, and writes the answer."""

    route: Route
    view: View

    @property
    def name(self) -> str:
        """The operation id, which is the name of the view."""
        return self.view.__name__

    def __call__(self, **path: str) -> Response:
        route = self.route
        given: dict[str, Any] = {part: CHECKS[part](value) for part, value in path.items()}
        if route.query is not None:
            given["query"] = reading.query(route.query)
        elif route.prefix == PREFIX:
            reading.query(Asked)  # the route has no parameters, so any is a mistake
        if route.body is not None or route.uploads:
            given["body"] = reading.body(route.body, route.uploads)
        if route.owned and route.method == "GET" and _is_known(given["user"]):
            return _with_etag(Response(status=HTTPStatus.NOT_MODIFIED), live().revision(given["user"]))
        found = self.view(**given)
        answer = found if isinstance(found, Response) else answered(found, route.status)
        if route.scope != "public":
            answer.headers.setdefault("Cache-Control", PRIVATE)
        return answer


def route(method: Method, path: str, *, scope: Scope, summary: str, **declared: Any) -> Callable[[View], View]:
    """Put a view into the table; the keywords are those of `Route`."""

    def register(view: View) -> View:
        endpoint = Endpoint(Route(method, path, scope, summary, **declared), view)
        TABLE.append(endpoint)
        routes.add_url_rule(endpoint.route.rule, endpoint.name, endpoint, methods=[method])
        return view

    return register


def answered(fields: Fields, status: int = HTTPStatus.OK) -> Response:
    """Return fields as JSON that names the snapshot, with an ETag if they have a revision."""
    body = {"snapshot": recommender().snapshot_id, **fields}
    answer = Response(orjson.dumps(body), status, mimetype="application/json")
    return _with_etag(answer, fields["revision"]) if "revision" in fields else answer


def _with_etag(answer: Response, revision: int) -> Response:
    answer.headers["ETag"] = f'"{_tag(revision)}"'
    answer.headers["Cache-Control"] = PRIVATE
    return answer


def _tag(revision: int) -> str:
    return f"{recommender().snapshot_id}.{revision}"


def _is_known(user: str) -> bool:
    """Return whether the caller has what would be answered about this user now; "*" cannot say so."""
    if "If-None-Match" not in request.headers or request.if_none_match.star_tag:
        return False
    return request.if_none_match.contains_weak(_tag(live().revision(user)))


CHECKS: Mapping[str, Callable[[str], str]] = {
    "user": lambda user: checked_id(user, "user"),  # matinee.service.auth put who asks in the place of "me"
    "movie": lambda movie: checked_id(movie, "movie"),
    "room": lambda room: checked_id(room, "room"),
    "snapshot": lambda snapshot: checked_id(snapshot, "snapshot"),
}
