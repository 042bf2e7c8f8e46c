"""The native calls, checked and documented: the only place that imports `matinee.kernels._native`.

    solve.py      the one equation for many rows, its covariances, quadratic forms
    select.py     scores of factors, and the n best movies
    items.py      items that score items
    sparse.py     building, transposing and multiplying sparse matrices
    posterior.py  rows folded into many samples of the other side, and what they would say of it
    texts.py      sorted texts
    equation.py   one row of the equation in plain NumPy: the definition and the tests' oracle
    csr.py        Csr, the form in which ratings enter
    check.py      what is checked before memory is touched

Symbols: B rows solved or asked at once; M rows of the other side (movies); k rank; n length of a list.
Dtypes: factors, stars and scores float32; hyper-parameters float64; row pointers int64; positions int32.
Every call releases the GIL, uses `threads` threads (None: MATINEE_THREADS, or one per core) and gives the same bits
for any number of threads and any slice of rows on one instruction set. MATINEE_ISA=avx512, avx2, neon or portable
forces an instruction set; otherwise the best one of the machine is taken.
"""

from __future__ import annotations

import matinee.kernels._native as native
from matinee.kernels.check import thread_count
from matinee.kernels.csr import Csr
from matinee.kernels.items import Items
from matinee.kernels.select import products, select_top_n, top_n
from matinee.kernels.solve import covariances, quadratic_forms, solve_side
from matinee.kernels.sparse import (
    build_csr,
    gather_rows,
    gram,
    relative_rows,
    residual_sums,
    transpose,
    weighted_gram,
)
from matinee.kernels.texts import find_text

__all__ = [
    "Csr",
    "Items",
    "build_csr",
    "covariances",
    "find_text",
    "gather_rows",
    "gram",
    "instruction_set",
    "instruction_sets",
    "products",
    "quadratic_forms",
    "relative_rows",
    "residual_sums",
    "select_top_n",
    "solve_side",
    "thread_count",
    "top_n",
    "transpose",
    "weighted_gram",
]


def instruction_sets() -> list[str]:
    """Return the instruction sets that this machine has, the best first; "portable" is the last of them everywhere."""
    return list(native.instruction_sets())


def instruction_set() -> str:
    """Return which kernels run here: "avx512", "avx2", "neon" or "portable".

    Raises UsageError, as every other call does, where MATINEE_ISA names one this machine lacks.
    """
    return str(native.instruction_set())
