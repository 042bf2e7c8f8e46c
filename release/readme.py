"""The README for the package index: links and pictures that lead to the repository, where the README's are its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LINK = re.compile(r"(?P<picture>!?)\[(?P<text>[^]]*)\]\((?P<path>(?!https?:|#)[^)]+)\)")


def dynamic_metadata(settings: Mapping[str, Any], project: Mapping[str, Any]) -> dict[str, Any]:
    """Return the project's `readme`; scikit-build-core calls this while it builds."""
    text = absolute(Path("README.md").read_text(encoding="utf-8"), project["urls"]["Homepage"])
    return {"readme": {"content-type": "text/markdown", "text": text}}


def absolute(readme: str, repository: str) -> str:
    """Return the README with every relative link below the repository's address."""

    def place(link: re.Match[str]) -> str:
        kind = "raw" if link["picture"] else "blob"
        return f"{link['picture']}[{link['text']}]({repository}/{kind}/main/{link['path']})"

    return LINK.sub(place, readme)
