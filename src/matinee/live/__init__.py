"""Live ratings, and whatever else people and operators tell a running service: in one SQL database, safe once told."""

from matinee.live.ratings import FILE_NAME, LiveHistory, LiveRatings, checked_id, database_path

__all__ = ["FILE_NAME", "LiveHistory", "LiveRatings", "checked_id", "database_path"]
