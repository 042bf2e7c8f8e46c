"""The interface's own description."""

from __future__ import annotations

import orjson
from flask import Response, request

from matinee.service.api import openapi
from matinee.service.api.table import Fields, route


@route("GET", "/openapi.json", prefix="/api", scope="public", summary="This document")
def openapi_document() -> Fields | Response:
    return Response(orjson.dumps(openapi.document(request.root_path)), mimetype="application/json")
