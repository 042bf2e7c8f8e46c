"""Answer: a table that names the snapshot and revisions it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from matinee.ids import Positions
from matinee.recommender.columns import Columns, Reason
from matinee.table import Table

IN_MEMORY = "memory"


class Answer(Table):
    """Rows about movies, a note, and their origin; the table itself is made on first use.

    positions   (m,) the movies, one per row, without the base of an explanation
    values      {column: (m,) values} such as stars; a match of -inf becomes null
    reasons     for each movie the rated ones that add most to its score, None if not asked for
    snapshot    id of the snapshot, "memory" for an unpublished one
    revisions   each user's live revision, 0 for a user without live ratings; empty if the answer is about no user
    """

    positions: Positions
    values: Mapping[str, Any]
    reasons: Sequence[Sequence[Reason]] | None
    snapshot: str
    revisions: tuple[int, ...]

    def __init__(
        self,
        positions: Positions,
        values: Mapping[str, Any],
        *,
        columns: Columns | None = None,
        whose: Mapping[str, Sequence[str | int]] | None = None,
        reasons: Sequence[Sequence[Reason]] | None = None,
        note: str = "",
        snapshot: str = IN_MEMORY,
        revisions: tuple[int, ...] = (),
    ) -> None:
        """`columns` adds the movies' facts, and `whose` the columns (m,) that identify the people."""
        vars(self).update(positions=positions, values=values, reasons=reasons, note=note)
        vars(self).update(snapshot=snapshot, revisions=revisions, _columns=columns, _whose=whose or {})

    @cached_property
    def arrow(self) -> pa.Table:
        """The rows."""
        columns: Columns | None = vars(self)["_columns"]
        if columns is None:
            return pa.table(dict(self.values))
        why = {} if self.reasons is None else {"why": columns.titles(self.reasons)}
        values = {name: _column(column) for name, column in self.values.items()}
        return pa.table({**vars(self)["_whose"], **columns.facts(self.positions), **values, **why})

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the rows, not their data set."""
        return {**vars(self), "arrow": self.arrow, "_columns": None, "_whose": {}}


def _column(values: Any) -> Any:
    """Return values as a column, null where they are -inf."""
    is_score = isinstance(values, np.ndarray) and values.dtype.kind == "f"
    return pa.array(values, mask=np.isneginf(values)) if is_score else values
