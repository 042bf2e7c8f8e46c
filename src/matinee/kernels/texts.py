"""Sorted texts as Arrow keeps them: one after the other, with where each starts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import matinee.kernels._native as native


def find_text(starts: NDArray[np.int32], texts: NDArray[np.uint8], wanted: bytes) -> int | None:
    """Return the place of a text among n texts sorted as bytes, None where it is not among them.

    starts   (n + 1,) int32: text i is texts[starts[i]:starts[i + 1]]

    Raises ValueError where these are not within `texts`.

    >>> find_text(np.array([0, 1, 3], np.int32), np.frombuffer(b"abc", np.uint8), b"bc")
    1
    """
    place: int = native.find_text(starts, texts, wanted)
    return None if place < 0 else place
