"""The versioned interface: one route table (`routing`), one file of routes per subject, one document of them all."""

from matinee.service.api import (
    additions,
    admin,
    documents,
    links,
    marks,
    movies,
    predictions,
    ratings,
    recommendations,
    rooms,
    status,
    users,
)
from matinee.service.api.routing import routes

__all__ = [
    "additions",
    "admin",
    "documents",
    "links",
    "marks",
    "movies",
    "predictions",
    "ratings",
    "recommendations",
    "rooms",
    "routes",
    "status",
    "users",
]
