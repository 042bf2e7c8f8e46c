"""The environment of programs that tests start: nobody's settings, but the same instruction set."""

from __future__ import annotations

import os

KEPT = "MATINEE_ISA"


def settings() -> list[str]:
    """The variables of this environment that would set an option."""
    return [name for name in os.environ if name.startswith("MATINEE_") and name != KEPT]


def without_settings(**variables: str) -> dict[str, str]:
    """This environment without them, and with some variables more."""
    return {name: value for name, value in os.environ.items() if name not in settings()} | variables
