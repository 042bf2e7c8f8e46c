from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def movielens() -> Callable[[str], Path]:
    """Return the folder of a real MovieLens release by its name; skips where there is none."""

    def folder(name: str) -> Path:
        data = os.environ.get("MATINEE_DATA")
        if not data:
            pytest.skip("set MATINEE_DATA to a folder that holds MovieLens releases")
        path = Path(data) / name
        if not path.is_dir():
            pytest.skip(f"MATINEE_DATA holds no {name}")
        return path

    return folder
