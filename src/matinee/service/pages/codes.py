"""Codes: an address as a picture that a phone reads."""

from __future__ import annotations

import segno
from markupsafe import Markup


def code(address: str) -> Markup:
    """Return the QR code of an address as an SVG element, dark on light in either colour scheme."""
    drawn = segno.make(address, micro=False, error="m")
    return Markup(drawn.svg_inline(border=2, dark="#000", light="#fff", omitsize=True, svgclass="code"))
