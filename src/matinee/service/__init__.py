"""The service over HTTP: `create_app` for any WSGI server, `serve` to run it on Granian."""

from matinee.service.app import create_app
from matinee.service.auth import Policy
from matinee.service.server import RunningServer, serve

__all__ = ["Policy", "RunningServer", "create_app", "serve"]
