"""What every native call checks first: dtypes and shapes of arrays, and how many threads may run.

The kernels read plain memory, so an array of another dtype or shape is refused by name; one whose rows do not lie
one after the other is copied (an array that is written to is refused instead).
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.errors import UsageError
from matinee.kernels.csr import Csr

MAX_RANK = 512


def array(name: str, value: NDArray[Any], dtype: type[np.generic], *shape: int | None) -> NDArray[Any]:
    """Return `value` without gaps; None in `shape` stands for any length.

    Raises ValueError where the dtype or shape is another.
    """
    if not isinstance(value, np.ndarray) or value.dtype.type is not dtype or not value.dtype.isnative:
        kind = value.dtype if isinstance(value, np.ndarray) else type(value).__name__
        raise ValueError(f"{name} must be an array of {np.dtype(dtype)}, not {kind}; convert it with astype")
    if value.shape != shape:
        _check_shape(name, value, shape)
    return value if value.flags.c_contiguous else np.ascontiguousarray(value)


def optional(name: str, value: NDArray[Any] | None, dtype: type[np.generic], *shape: int | None) -> Any:
    """Return None for None, and otherwise what `array` does."""
    return None if value is None else array(name, value, dtype, *shape)


def output(name: str, value: NDArray[Any] | None, dtype: type[np.generic], *shape: int) -> NDArray[Any]:
    """Return an array to write into: a new one for None, or the caller's, which may not have gaps.

    Raises ValueError where the dtype or shape is another, or where the array has gaps or is read-only.
    """
    if value is None:
        return np.empty(shape, dtype)
    checked = array(name, value, dtype, *shape)
    if checked is not value and not value.flags.c_contiguous:
        raise ValueError(f"{name} is written to, so its rows must lie one after the other; pass a C-contiguous array")
    if not value.flags.writeable:
        raise ValueError(f"{name} is written to but read-only; pass a copy")
    return value


def csr(name: str, matrix: Csr) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """Return the three arrays of a matrix; raises ValueError where a dtype or shape is another."""
    n = len(matrix.indices)
    return (
        array(f"{name}.indptr", matrix.indptr, np.int64, None),
        array(f"{name}.indices", matrix.indices, np.int32, n),
        array(f"{name}.values", matrix.values, np.float32, n),
    )


def columns(name: str, matrix: Csr, count: int) -> None:
    """Raise ValueError where a matrix does not have this number of columns."""
    if matrix.n_columns != count:
        raise ValueError(f"{name} has {matrix.n_columns} columns but must have {count}, one per row of the other side")


def rank(name: str, factors: NDArray[Any]) -> int:
    """Return the number of factors per row; raises ValueError outside 1 ... 512."""
    k = int(factors.shape[1])
    if not 1 <= k <= MAX_RANK:
        raise ValueError(f"{name} has {k} factors per row; a rank is 1 to {MAX_RANK}")
    return k


def positions(name: str, value: NDArray[Any], count: int, *shape: int | None) -> NDArray[np.int32]:
    """Return an int32 array whose entries are all 0 ... count - 1; raises ValueError otherwise."""
    checked = array(name, value, np.int32, *shape)
    if checked.size and checked.view(np.uint32).max() >= count:  # below zero they are the largest
        raise ValueError(f"{name} must be positions from 0 to {count - 1}, not {checked.min()} to {checked.max()}")
    return checked


def thread_count(threads: int | None) -> int:
    """Return `threads`, or where None MATINEE_THREADS, or where unset the number of cores this process may use.

    Raises UsageError where either is not a whole number from 1 up.
    """
    if threads is not None:
        if threads < 1:
            raise UsageError(f"threads is {threads}; it must be at least 1")
        return int(threads)
    text = os.environ.get("MATINEE_THREADS")
    return _parsed(text) if text else _cores()


@cache
def _parsed(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"MATINEE_THREADS is {text!r}; set it to a whole number from 1 up, or unset it")
    return int(text)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _check_shape(name: str, value: NDArray[Any], shape: tuple[int | None, ...]) -> None:
    fits = value.ndim == len(shape)
    for want, have in zip(shape, value.shape, strict=False):  # a loop, as every request comes here dozens of times
        fits = fits and (want is None or want == have)
    if not fits:
        wanted = ", ".join("any" if want is None else str(want) for want in shape)
        raise ValueError(f"{name} must have shape ({wanted}), not {value.shape}")
