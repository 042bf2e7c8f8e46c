"""The versioned interface: one route table (`table`), one file of routes per subject, one document of them all."""

from matinee.service.api import (
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
