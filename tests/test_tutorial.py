from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode
from tests import environment
from tests.figures import missing

VARIES = ("perf_counter", "%timeit", "mt.tune(", "mt.serve(")
"""What stands in cells whose output is never the same: times, and the address of a server."""
NOTEBOOK = Path(__file__).parent.parent / "docs" / "tutorial.ipynb"


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, data: Path | None = None) -> NotebookNode:
    for name in environment.settings():
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    if data is not None:
        monkeypatch.setenv("MATINEE_DATA", str(data))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=180, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def code_of(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown_by(cell: NotebookNode) -> str:
    return "\n".join(str(output.get("text", output.get("data", {}).get("text/plain"))) for output in cell.outputs)


def text_of(notebook: NotebookNode) -> str:
    return "\n".join(map(shown_by, code_of(notebook)))


@pytest.mark.slow
def test_the_notebook__runs_on_the_sample_without_a_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executed = run(tmp_path, monkeypatch)
    stored = nbformat.read(NOTEBOOK, as_version=4)
    for before, now in zip(code_of(stored), code_of(executed), strict=True):
        if not any(part in now.source for part in VARIES):
            assert not missing(shown_by(before).splitlines(), shown_by(now).splitlines()), now.source
    shown = text_of(executed)
    assert "79,317 ratings" in shown
    assert shown.count("simulated ratings") >= 10
    assert "Quiz Show" in shown


@pytest.mark.slow
@pytest.mark.data
def test_the_notebook__runs_on_movielens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, movielens: Callable[[str], Path]
) -> None:
    shown = text_of(run(tmp_path, monkeypatch, movielens("ml-latest-small").parent))
    assert "100,836 ratings" in shown
    assert "simulated" not in shown


def test_the_notebook__shows_results_of_the_sample_only() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    shown = text_of(notebook)
    assert "simulated ratings" in shown
    assert "ml-latest" not in shown
    assert not any(output.output_type == "error" for cell in notebook.cells for output in cell.get("outputs", ()))
