"""The versioned interface: one route table (`table`), one file of routes per subject, one document of them all."""

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
    users,
    watching,
)
from matinee.service.api.table import routes

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
    "users",
    "watching",
]
