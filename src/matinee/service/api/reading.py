"""Reading a request: its query and body as pydantic models, or one clear line about the first thing that is wrong."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from types import UnionType
from typing import Any, NamedTuple, TypeVar, Union, get_args, get_origin

from flask import request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import UnsupportedMediaType

from matinee.errors import UsageError
from matinee.service import bodies

JSON = "application/json"
MOST_SHOWN = 60
WHAT = re.compile(r"^(Input|String|List|Tuple|Dictionary|Value error,) | after validation(?=,)")  # what a rule is of
OF_SIMKL = re.compile(rb'\{\s*"(?:shows|anime|movies)"\s*:\s*\[\s*\{')
Model = TypeVar("Model", bound=BaseModel)


class Upload(NamedTuple):
    """A body that is not JSON: its media type and its bytes."""

    kind: str
    content: bytes


def query(model: type[Model]) -> Model:
    """Return the query; a parameter nobody declared, and one given twice that is single, raise UsageError."""
    given: dict[str, Any] = {}
    for name, values in request.args.lists():
        if name in lists_of(model):
            given[name] = values
        elif len(values) == 1:
            given[name] = values[0]
        else:
            raise UsageError(f"the query gives {name[:MOST_SHOWN]} {len(values)} times; give it once")
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise UsageError(_said("the query's ", model, error)) from None


def body(model: type[BaseModel] | None, uploads: tuple[str, ...] = ()) -> BaseModel | Upload:
    """Return the body: JSON as the model, other accepted media types as they are.

    Raises UsageError for JSON that does not fit; another media type is refused with 415.
    """
    if uploads:
        request.max_content_length = bodies.MOST_UPLOADED
    content = bodies.content()
    if request.mimetype in uploads or (uploads and is_of_another_site(request.mimetype, content)):
        return Upload(request.mimetype, content)
    if model is None or request.mimetype != JSON:
        accepted = " or ".join([*([JSON] if model else []), *uploads])
        hint = f"; with curl: -H 'Content-Type: {uploads[0]}' --data-binary @FILE" if uploads else ""
        raise UnsupportedMediaType(
            f"the body is sent as {accepted}, not as {request.mimetype or 'nothing at all'}{hint}"
        )
    try:
        return model.model_validate_json(content, strict=True)
    except ValidationError as error:
        raise UsageError(_said("the body's ", model, error)) from None


def is_of_another_site(kind: str, content: bytes) -> bool:
    """Return whether a body is JSON that another site exports: a list, or, as Simkl's, lists of movies and shows."""
    if kind != JSON:
        return False
    start = content[:MOST_SHOWN].lstrip(b"\xef\xbb\xbf \t\r\n")
    return start.startswith(b"[") or OF_SIMKL.match(start) is not None


@lru_cache
def lists_of(model: type[BaseModel]) -> frozenset[str]:
    """Return the fields that may be given several times in a query."""
    return frozenset(name for name, field in model.model_fields.items() if _is_list(field.annotation))


def _is_list(annotation: Any) -> bool:
    if get_origin(annotation) in (Union, UnionType):
        return any(map(_is_list, get_args(annotation)))
    return get_origin(annotation) in (list, tuple, frozenset)


def _said(whose: str, model: type[BaseModel], error: ValidationError) -> str:
    """Return one line about the first error: the field, its value, the rule."""
    first = error.errors(include_url=False)[0]
    name, rule, value = ".".join(map(str, first["loc"])), first["msg"], _shown(first["input"])
    match kind := first["type"]:
        case "json_invalid":
            return f"the body is not JSON: {rule.removeprefix('Invalid JSON: ')}"
        case "extra_forbidden":
            known = ", ".join(model.model_fields) or "none"
            return f"{whose}{name[:MOST_SHOWN]} is not known here; known are {known}"
        case "missing":
            return f"{whose}{name} is missing; give it"
        case _:
            rule = "should be a day" if kind.startswith("date_") else WHAT.sub("", rule)
            rule += "" if kind.startswith("too_") else _example(model, name)
            return f"{whose}{name} is {value}: it {rule}" if name else f"{whose.removesuffix(chr(39) + 's ')} {rule}"


def _shown(value: object) -> str:
    return json.dumps(value)[:MOST_SHOWN] if isinstance(value, dict | list) else repr(str(value)[:MOST_SHOWN])


def _example(model: type[BaseModel], name: str) -> str:
    field = model.model_fields.get(name)
    return f", such as {json.dumps(field.examples[0])}" if field is not None and field.examples else ""
