"""Drawing: a picture that shows itself in a notebook and is saved to a file; matplotlib is asked for only then."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from matinee.errors import UsageError

ENDINGS = (".png", ".svg", ".pdf")


@dataclass(frozen=True)
class Plot:
    """A drawn picture: `figure` is matplotlib's, to be changed further; a notebook shows it."""

    figure: Any

    def save(self, path: str | Path) -> None:
        """Write the picture. Raises UsageError unless the path ends in .png, .svg or .pdf."""
        if Path(path).suffix.lower() not in ENDINGS:
            raise UsageError(f"cannot plot to {path}: the name must end in {', '.join(ENDINGS)}")
        self.figure.savefig(path)

    def svg(self) -> str:
        """Return the picture as an <svg> element."""
        buffer = BytesIO()
        self.figure.savefig(buffer, format="svg", metadata={"Date": None})
        text = buffer.getvalue().decode()
        return text[text.index("<svg") :]

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        self.figure.savefig(buffer, format="png")
        return buffer.getvalue()


def new_figure(size: tuple[float, float]) -> Any:
    """Return an empty matplotlib figure of this size in inches.

    Raises UsageError where matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError("plots need matplotlib; install it with `pip install matinee[plot]`") from None
    return Figure(figsize=size, layout="constrained")
