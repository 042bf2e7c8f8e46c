"""Files: styles, scripts and the icon, at addresses that change with what is in them, so that browsers keep them.

/static/1f0c9d.../page/main.mjs     the version is a folder, as modules name each other by relative addresses
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, Response
from werkzeug.exceptions import NotFound

from matinee.service.auth import access
from matinee.service.compression import SMALL, takes_gzip

FOLDER = Path(__file__).with_name("static")
TYPES = {".css": "text/css", ".mjs": "text/javascript", ".svg": "image/svg+xml"}
ENDPOINT = "static"  # as Flask calls it
KEPT, ASKED_AGAIN = "public, max-age=31536000, immutable", "no-cache"


@dataclass(frozen=True)
class File:
    """A file as it is and gzipped."""

    mimetype: str
    content: bytes
    gzipped: bytes


def install(app: Flask) -> None:
    """Answer for the files, and let `url_for("static", filename=...)` write their addresses."""
    app.add_url_rule("/static/<version>/<path:filename>", ENDPOINT, file)
    app.url_defaults(_with_version)


@access("public")
def file(version: str, filename: str) -> Response:
    """Return a file: to be kept for good under its own version, and as it is now under the version of an older page."""
    found = files().get(filename)
    if found is None:
        raise NotFound
    answer = Response(found.content, mimetype=found.mimetype)
    if takes_gzip():
        answer.set_data(found.gzipped)
        answer.headers["Content-Encoding"] = "gzip"
    answer.headers["Cache-Control"] = KEPT if version == _version() else ASKED_AGAIN
    return answer


@cache
def files() -> Mapping[str, File]:
    """Return the files by their names, such as page/main.mjs."""
    return read(FOLDER)


def read(folder: Path) -> Mapping[str, File]:
    """Return the files of a folder by their names in it."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix in TYPES)
    return {path.relative_to(folder).as_posix(): _file(path.read_bytes(), path.suffix) for path in paths}


def version_of(found: Mapping[str, File]) -> str:
    """Return what changes whenever one of the files does."""
    said = hashlib.sha256()
    for name, one in found.items():
        said.update(f"{name} {len(one.content)}\n".encode() + one.content)
    return said.hexdigest()[:12]


@cache
def _version() -> str:
    return version_of(files())


def _file(content: bytes, suffix: str) -> File:
    return File(TYPES[suffix], content, gzip.compress(content, SMALL, mtime=0))


def _with_version(endpoint: str, values: dict[str, Any]) -> None:
    if endpoint == ENDPOINT:
        values.setdefault("version", _version())
