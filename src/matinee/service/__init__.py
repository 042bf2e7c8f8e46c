"""The service over HTTP: `create_app` for any WSGI server, `serve` to run it on Granian."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matinee.service.policy import Policy
from matinee.service.server import RunningServer, serve

if TYPE_CHECKING:
    from matinee.service.app import create_app as create_app

__all__ = ["Policy", "RunningServer", "create_app", "serve"]


def __getattr__(name: str) -> Any:
    """Load the application when it is asked for: the process that watches the workers runs without it."""
    if name == "create_app":
        from matinee.service.app import create_app

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
