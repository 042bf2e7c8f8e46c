"""Codes: an address as a picture that a phone reads."""

from __future__ import annotations

import segno
from flask import request
from markupsafe import Markup

LOCAL = ("localhost", "127.0.0.1", "[::1]")


def is_local() -> bool:
    """Return whether the page was asked for by a name that leads to this machine alone, which phones cannot follow."""
    return request.host.rsplit(":", 1)[0] in LOCAL


def code(address: str) -> Markup:
    """Return the QR code of an address as an SVG element, dark on light in either colour scheme."""
    drawn = segno.make(address, micro=False, error="m")
    return Markup(drawn.svg_inline(border=2, dark="#000", light="#fff", omitsize=True, svgclass="code"))
