"""The versioned interface: one route table (`table`), one file of routes per subject, one document of them all."""

from matinee.service.api import documents, movies, predictions, recommendations, watching
from matinee.service.api.table import routes

__all__ = ["documents", "movies", "predictions", "recommendations", "routes", "watching"]
