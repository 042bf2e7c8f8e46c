"""Where the processes of one service count: a folder for as long as it runs.

It is in the temporary folder, not in the store: where a disk is full, a page of a mapped file that has no place yet
ends the worker that writes it, and the store's disk is the one that ratings fill.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from matinee.scratch import FOR_ITS_OWNER, scratch_folder, sweep

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
PREFIX = "matinee-metrics-"


@contextmanager
def counting_together() -> Iterator[None]:
    """Let the processes started in the block count in one folder, which is gone afterwards.

    Removes the folders of services that were killed.
    """
    temporary = Path(tempfile.gettempdir())
    sweep(temporary, f"{PREFIX}*")
    before = os.environ.get(FOLDER)
    with scratch_folder(temporary, PREFIX, FOR_ITS_OWNER) as folder:
        os.environ[FOLDER] = str(folder)
        try:
            yield
        finally:
            if before is None:
                del os.environ[FOLDER]
            else:
                os.environ[FOLDER] = before
