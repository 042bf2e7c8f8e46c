"""The interface's own description: the OpenAPI document, and a page to read and try it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

import orjson
from flask import Response, render_template, request

from matinee.service.api import examples, openapi
from matinee.service.api.routing import Fields, route


class Operation(NamedTuple):
    """One operation as the page shows it: its part of the document, and a command that asks for it."""

    method: str
    path: str
    said: dict[str, Any]
    curl: str

    @property
    def tag(self) -> str:
        """The subject it belongs to."""
        return str(self.said["tags"][0])


@route("GET", "/openapi.json", prefix="/api", scope="public", summary="Get this document")
def get_openapi_document() -> Fields | Response:
    """OpenAPI 3.1, for generators of clients and for tests."""
    return Response(orjson.dumps(openapi.document(request.root_path)), mimetype="application/json")


@route("GET", "/docs", prefix="/api", scope="public", summary="Get this document as a page")
def get_docs() -> Fields | Response:
    """Made from the document, without a request to anywhere else."""
    document = openapi.document(request.root_path)
    found = sorted(_operations(document), key=lambda one: one.tag)
    page = render_template(
        "docs.html",
        info=document["info"],
        subjects=[(tag, list(operations)) for tag, operations in groupby(found, key=lambda one: one.tag)],
        schemas=document["components"]["schemas"],
        parts=examples.PARTS,
        kind=examples.kind,
        root=request.root_path,
    )
    return Response(page, mimetype="text/html")


def _operations(document: dict[str, Any]) -> Iterator[Operation]:
    base = request.host_url.rstrip("/") + request.root_path
    for path, methods in document["paths"].items():
        for method, said in methods.items():
            yield Operation(method, path, said, examples.curl(document, base, method, path))
