"""The version of this installation, and the commit that it was made from."""

from __future__ import annotations

import subprocess
from importlib.metadata import version as installed_version
from pathlib import Path

PACKAGE = Path(__file__).parent


def version() -> str:
    """Return the version, as "0.2.0"."""
    return installed_version("matinee")


def commit() -> str | None:
    """Return the commit of the checkout that the package runs from, or of its build; None where neither is known."""
    checkout = PACKAGE.parents[1]
    if PACKAGE.parent.name == "src" and (checkout / ".git").exists():
        return _commit_of(checkout)
    built = PACKAGE / "commit.txt"
    return built.read_text().strip() if built.exists() else None


def _commit_of(checkout: Path) -> str | None:
    command = ["git", "-C", str(checkout), "rev-parse", "--short=12", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
