"""Errors as problem details (RFC 9457): the one place where what went wrong becomes an HTTP answer."""

from __future__ import annotations

import logging
from http import HTTPStatus

from flask import Flask, Response, json, request
from werkzeug.exceptions import HTTPException

from matinee.errors import (
    DataError,
    FullRoomError,
    LiveError,
    MatineeError,
    MissingError,
    ModelError,
    StoreError,
    UnknownMovieError,
    UnknownUserError,
    UsageError,
)
from matinee.remedies import over_http


class UnauthorizedError(MatineeError):
    """The request needs an API key or a visitor's cookie."""


class ForbiddenError(MatineeError):
    """The caller lacks the permission."""


class ConflictError(MatineeError):
    """What is asked for does not go together with how things stand now."""


class NotReadyError(MatineeError):
    """The process answers, and what it answers is not what visitors should get."""


class TooManyRequestsError(MatineeError):
    """The client exceeded its rate limit, and may try again after `seconds`."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


STATUS: dict[type[Exception], HTTPStatus] = {
    UsageError: HTTPStatus.BAD_REQUEST,
    DataError: HTTPStatus.BAD_REQUEST,
    UnknownUserError: HTTPStatus.NOT_FOUND,
    UnknownMovieError: HTTPStatus.NOT_FOUND,
    MissingError: HTTPStatus.NOT_FOUND,
    FullRoomError: HTTPStatus.CONFLICT,
    UnauthorizedError: HTTPStatus.UNAUTHORIZED,
    ForbiddenError: HTTPStatus.FORBIDDEN,
    ConflictError: HTTPStatus.CONFLICT,
    TooManyRequestsError: HTTPStatus.TOO_MANY_REQUESTS,
    ModelError: HTTPStatus.UNPROCESSABLE_ENTITY,
    StoreError: HTTPStatus.SERVICE_UNAVAILABLE,
    LiveError: HTTPStatus.SERVICE_UNAVAILABLE,
    NotReadyError: HTTPStatus.SERVICE_UNAVAILABLE,
    MatineeError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
RETRY_AFTER = "5"  # seconds
AWAY = "the database of live ratings is not available; try again in a moment; the service's log has the cause"

log = logging.getLogger("matinee.service")


def install(app: Flask) -> None:
    app.register_error_handler(HTTPException, of_http)
    app.register_error_handler(MatineeError, of_matinee)
    app.register_error_handler(Exception, of_surprise)


def problem(status: int, detail: str) -> Response:
    """Return problem details with a message that a person can act on."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return Response(json.dumps(body), status, mimetype="application/problem+json")


def of_matinee(error: MatineeError) -> Response:
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    if status is HTTPStatus.SERVICE_UNAVAILABLE and not isinstance(error, NotReadyError):
        log.error("%s", error)
        answer = problem(status, AWAY)
        answer.headers["Retry-After"] = RETRY_AFTER
    else:
        answer = problem(status, over_http(str(error)))
    if isinstance(error, TooManyRequestsError):
        answer.headers["Retry-After"] = str(error.retry_after)
    if status is HTTPStatus.UNAUTHORIZED:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def of_http(error: HTTPException) -> Response:
    """Keep the headers that belong to the error, such as Allow, and those of a redirect."""
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    answer = problem(status, _detail(error))
    for name, value in error.get_headers(request.environ):
        if name.lower() not in ("content-type", "content-length"):
            answer.headers[name] = value
    return answer


def of_surprise(error: Exception) -> Response:
    route = request.url_rule.rule if request.url_rule is not None else None  # paths hold secrets
    log.exception("unexpected error at %s %s", request.method, route, exc_info=error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "an unexpected error; the server's log has the details")


def _detail(error: HTTPException) -> str:
    if error.code == HTTPStatus.NOT_FOUND:
        return f"nothing at {request.path}; {request.root_path}/api/docs lists the addresses"
    if error.code == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{request.path} does not take {request.method}; the Allow header lists what it takes"
    if error.code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        parts = f", or its form has more than {request.max_form_parts} parts" if _is_of_parts() else ""
        return (
            f"the body is larger than {request.max_content_length:,} bytes{parts}; send the ratings in several requests"
        )
    return error.description or "the request was refused"


def _is_of_parts() -> bool:
    return request.mimetype == "multipart/form-data"
