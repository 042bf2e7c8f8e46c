"""create_app: routes, limits and the one place for errors around a recommender and the live ratings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, Response

from matinee.live import LiveRatings
from matinee.ratings import Scale
from matinee.recommender import Recommender
from matinee.service import api, auth, bodies, compression, files, logs, metrics, pages, problems, serving, tutorial
from matinee.snapshot import Store

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

SNAPSHOT_HEADER = "Matinee-Snapshot"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}


class _Service(Flask):
    """Flask, with our headers, and without asking anew at each request which views are coroutines: none is."""

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        bodies.by_its_length(environ)

        def with_headers(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            return start_response(status, [*headers, *HEADERS.items()], *error)

        return super().wsgi_app(environ, with_headers)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func


def create_app(
    recommender: Recommender,
    live: LiveRatings,
    *,
    tutorial_scale: Scale | None = None,
    policy: auth.Policy = auth.DEFAULT_POLICY,
    store: Store | None = None,
) -> Flask:
    """Return the service as a WSGI application.

    recommender      answers until `serving.serving_of(app).switch` puts another one in its place
    live             where ratings are stored; the recommender must read the same
    tutorial_scale   the scale of the stars on the tutorial's URLs, by default the data's own
    policy           who may come in; by default programs of this machine until there is an API key
    store            where admins may activate another snapshot; without one they cannot

    Opens nothing and starts nothing; both arguments stay the caller's to close.
    """
    app = _Service(__name__, static_folder=None)
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.json.sort_keys = False  # type: ignore[attr-defined]
    logs.install(app)
    metrics.install(app)
    compression.install(app)
    files.install(app)
    served = serving.Serving(recommender, live, tutorial_scale, store)
    serving.install(app, served)
    problems.install(app)
    bodies.install(app)
    auth.install(app, live, policy)
    for blueprint in (pages.routes, api.routes, tutorial.routes):
        app.register_blueprint(blueprint)

    @app.after_request
    def name_the_snapshot(answer: Response) -> Response:
        answer.headers[SNAPSHOT_HEADER] = serving.recommender().snapshot_id
        return answer

    return app
