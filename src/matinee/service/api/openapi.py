"""The OpenAPI 3.1 document, made from the route table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from matinee.live.checks import ID_PATTERN
from matinee.live.schema import MAX_ID
from matinee.service.api.reading import JSON
from matinee.service.api.routing import PREFIX, TABLE, Endpoint, Route
from matinee.service.api.schemas import Problem

TEMPLATE = "#/components/schemas/{model}"
PROBLEM = "application/problem+json"
ABOUT = (
    "Rate a few films and at once see what to watch next. Every answer names the snapshot it came from, ids are "
    "strings everywhere, and errors are problem details (RFC 9457)."
)
PARTS = {
    "user": "a user's id, or `me` for the caller",
    "movie": "a movie's id",
    "room": "a room's token, the end of its link",
    "snapshot": "a snapshot's id",
}
TAG_OF_PUBLIC = "service"
OF_BODIES = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE}


def document(root: str = "") -> dict[str, Any]:
    """Return the document of all routes in the table; `root` is the path below which the service is found."""
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in TABLE:
        paths.setdefault(endpoint.route.url, {})[endpoint.route.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Matinee", "version": version("matinee"), "description": ABOUT},
        "servers": [{"url": root or "/"}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(_schemas(_models()).items())),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "an API key, mk_..."}},
        },
    }


def problems_of(route: Route) -> tuple[int, ...]:
    """Return the statuses by which a route can refuse: those declared, and those that follow from what it takes.

    >>> problems_of(Route("PUT", "/movies/{movie}", "admin", "Add a movie"))
    (400, 401, 403, 429, 503)
    """
    takes_body = route.body is not None or bool(route.uploads)
    found = {*route.problems, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
    found |= {HTTPStatus.BAD_REQUEST} if route.prefix == PREFIX or route.parts or route.query or takes_body else set()
    found |= OF_BODIES if takes_body else set()
    found |= {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN} if route.scope != "public" else set()
    return tuple(sorted(map(int, found)))


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    route = endpoint.route
    described = {"description": endpoint.view.__doc__} if endpoint.view.__doc__ else {}
    guarded = {} if route.scope == "public" else {"security": [{}, {"key": [route.scope]}]}
    return {
        "operationId": endpoint.name,
        "tags": [TAG_OF_PUBLIC if route.scope == "public" else route.path.split("/")[1]],
        "summary": route.summary,
        **described,
        **guarded,
        "parameters": [*map(_part, route.parts), *_query(route), *_headers(route)],
        **_body(route),
        "responses": _responses(route),
    }


def _part(name: str) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1, "maxLength": MAX_ID, "pattern": ID_PATTERN}
    return {"name": name, "in": "path", "required": True, "description": PARTS[name], "schema": schema}


def _query(route: Route) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    schema = route.query.model_json_schema(ref_template=TEMPLATE)
    required = schema.get("required", [])
    return [_parameter(name, said, name in required) for name, said in schema["properties"].items()]


def _parameter(name: str, said: Mapping[str, Any], required: bool) -> dict[str, Any]:
    """Return a query parameter; leaving it out means null."""
    schema = {key: value for key, value in said.items() if key not in ("title", "description")}
    if "anyOf" in schema:
        [schema] = [one for one in schema["anyOf"] if one != {"type": "null"}]
    described = {"description": said["description"]} if "description" in said else {}
    return {"name": name, "in": "query", "required": required, **described, "schema": schema}


def _headers(route: Route) -> list[dict[str, Any]]:
    if not (route.owned and route.method == "GET"):
        return []
    said = "an ETag of an earlier answer; 304 if nothing has changed since"
    return [{"name": "If-None-Match", "in": "header", "description": said, "schema": {"type": "string"}}]


def _body(route: Route) -> dict[str, Any]:
    content: dict[str, Any] = {kind: {"schema": {"type": "string"}} for kind in route.uploads}
    if route.body is not None:
        content = {JSON: {"schema": _reference(route.body)}, **content}
    return {"requestBody": {"required": True, "content": content}} if content else {}


def _responses(route: Route) -> dict[str, Any]:
    content = {"content": {JSON: {"schema": _reference(route.answer)}}} if route.answer is not None else {}
    responses: dict[str, Any] = {str(int(route.status)): {"description": "success", **content}}
    if route.owned and route.method == "GET":
        responses["304"] = {"description": "nothing has changed since the answer with this ETag"}
    for status in problems_of(route):
        responses[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {PROBLEM: {"schema": _reference(Problem)}},
        }
    return responses


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": TEMPLATE.format(model=model.__name__)}


def _models() -> Iterable[type[BaseModel]]:
    yield Problem
    for endpoint in TABLE:
        yield from filter(None, (endpoint.route.body, endpoint.route.answer))


def _schemas(models: Iterable[type[BaseModel]]) -> dict[str, Any]:
    _, schemas = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(models)], ref_template=TEMPLATE, union_format="any_of"
    )
    found: dict[str, Any] = schemas["$defs"]
    return found
