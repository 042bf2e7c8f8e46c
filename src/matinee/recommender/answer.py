"""Answer: a table that names what it was answered from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from matinee.table import Table

IN_MEMORY = "memory"


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Answer(Table):
    """Rows, a note, and their origin.

    snapshot    id of the snapshot that answered, "memory" where it was never published
    revisions   each person's live revision, 0 for somebody without live ratings; empty where nobody was asked about
    """

    snapshot: str = IN_MEMORY
    revisions: tuple[int, ...] = ()

    @classmethod
    def of(
        cls, columns: Mapping[str, Any], note: str = "", snapshot: str = IN_MEMORY, revisions: tuple[int, ...] = ()
    ) -> Answer:
        """Make an answer from {column: values}; values are a sequence or an array, all of one length."""
        return cls(pa.table(dict(columns)), note, snapshot=snapshot, revisions=revisions)
