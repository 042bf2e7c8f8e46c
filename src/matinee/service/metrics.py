"""What Prometheus reads at /metrics: requests by route and status, how long they took, and what is served.

Each worker counts in files of a folder that the watching process made, and whichever worker is asked adds all of them
up; a worker that died still counts.
"""

from __future__ import annotations

import os
import time
from functools import cache

from flask import Blueprint, Flask, Response, current_app, g, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector

from matinee.service.auth import access
from matinee.service.server.metrics_folder import FOLDER
from matinee.service.serving import serving_of

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})
NOWHERE, OTHER = "(none)", "(other)"  # what strangers send is without number

routes = Blueprint("metrics", __name__)


class Metrics:
    """The counters of one worker."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "matinee_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "matinee_request_seconds", "Seconds to an answer.", ("route",), buckets=BUCKETS, registry=self.registry
        )
        self.ratings = Gauge(
            "matinee_snapshot_ratings",
            "Ratings in the snapshot that is served.",
            registry=self.registry,
            multiprocess_mode="mostrecent",
        )
        self.trouble = Gauge(
            "matinee_snapshot_trouble",
            "1 if the newest snapshot is damaged and not served.",
            registry=self.registry,
            multiprocess_mode="mostrecent",  # whoever is asked sets it: all follow one store
        )

        self._requests, self._seconds = cache(self.requests.labels), cache(self.seconds.labels)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        self._requests(method if method in METHODS else OTHER, route, status).inc()
        self._seconds(route).observe(seconds)

    def text(self) -> bytes:
        """Return all workers' metrics as Prometheus reads them."""
        registry = self.registry
        if os.environ.get(FOLDER):
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


@routes.get("/metrics")
@access("public")
def metrics() -> Response:
    """Everything counted, of all workers."""
    counted: Metrics = current_app.extensions["matinee-metrics"]
    serving = serving_of(current_app)
    counted.ratings.set(serving.recommender.dataset.ratings.n)
    counted.trouble.set(serving.trouble is not None)
    return Response(counted.text(), content_type=CONTENT_TYPE_LATEST)


def install(app: Flask) -> None:
    """Count every request of this application, from the moment that logs.install notes."""
    counted = app.extensions["matinee-metrics"] = Metrics()
    app.register_blueprint(routes)

    @app.after_request
    def count(answer: Response) -> Response:
        route = request.url_rule.rule if request.url_rule is not None else NOWHERE
        counted.count(request.method, route, answer.status_code, time.perf_counter() - g.arrived)
        return answer
