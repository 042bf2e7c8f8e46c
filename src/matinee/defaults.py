"""Defaults that the library, the command line and the service share, each in one place."""

DEFAULT_N = 25
"""Movies in a list."""
DEFAULT_MIN_RATINGS = 25
"""Ratings that a movie needs to be listed: in lists, in `ease`, in evaluation."""
