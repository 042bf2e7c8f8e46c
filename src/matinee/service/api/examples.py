"""Examples of requests, made from the OpenAPI document: what a person can paste into a terminal."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

Schema = Mapping[str, Any]
PARTS = {"user": "ann", "movie": "1", "room": "ROOM", "snapshot": "SNAPSHOT"}


def curl(document: Schema, base: str, method: str, path: str) -> str:
    """Return a command line that asks for one operation of the document at the service's address."""
    operation = document["paths"][path][method]
    required = [one for one in operation["parameters"] if one["in"] == "query" and one["required"]]
    query = urlencode({one["name"]: value(document, one["schema"]) for one in required}, doseq=True)
    url = base + path.format_map(PARTS) + (f"?{query}" if query else "")
    words = ["curl", *([] if method == "get" else ["-X", method.upper()]), *_data(document, operation), url]
    return " ".join(map(shlex.quote, words))


def _data(document: Schema, operation: Schema) -> list[str]:
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        return []
    kind, said = next(iter(content.items()))
    body = json.dumps(value(document, said["schema"])) if kind == "application/json" else "@FILE"
    return ["-H", f"Content-Type: {kind}", "--data-binary", body]


def resolved(document: Schema, schema: Schema) -> Schema:
    """Return the schema that a reference means, or the schema itself."""
    name = schema.get("$ref", "").rpartition("/")[2]
    found: Schema = document["components"]["schemas"][name] if name else schema
    return found


def value(document: Schema, schema: Schema) -> Any:
    """Return a value that fits a schema: its own example or default, or the plainest one.

    >>> value({}, {"type": "object", "properties": {"stars": {"type": "number", "examples": [4.5]}},
    ...            "required": ["stars"]})
    {'stars': 4.5}
    """
    schema = resolved(document, schema)
    if "examples" in schema:
        return schema["examples"][0]
    for key in ("default", "const"):
        if key in schema:
            return schema[key]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return value(document, schema["anyOf"][0])
    match schema.get("type"):
        case "object" if "properties" in schema:
            return {name: value(document, schema["properties"][name]) for name in schema.get("required", [])}
        case "object":
            inner = schema.get("additionalProperties")
            return {PARTS["movie"]: value(document, inner)} if isinstance(inner, Mapping) else {}
        case "array":
            return [value(document, schema.get("items", {}))]
        case "integer" | "number":
            return schema.get("minimum", 4)
        case "boolean":
            return False
    return "..."


def kind(schema: Schema) -> str:
    """Say in a few words what values a schema takes.

    >>> kind({"type": "integer", "minimum": 1, "maximum": 100}), kind({"enum": ["match", "stars"]})
    ('whole number, 1 to 100', 'match or stars')
    """
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "enum" in schema or "const" in schema:
        return " or ".join(map(str, schema.get("enum", [schema.get("const")])))
    if "anyOf" in schema:
        return " or ".join(map(kind, schema["anyOf"]))
    match schema.get("type"):
        case "array":
            return f"list of {kind(schema['items'])}" if "items" in schema else "list"
        case "object" if isinstance(schema.get("additionalProperties"), Mapping):
            return f"object of {kind(schema['additionalProperties'])}"
        case "integer":
            return "whole number" + _range(schema)
        case "string" if "format" in schema:
            return str(schema["format"])
        case "string":
            return "text"
        case None:
            return "anything"
        case plain:
            return str(plain) + _range(schema)


def _range(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None:
        return "" if high is None else f", at most {high}"
    return f", at least {low}" if high is None else f", {low} to {high}"
