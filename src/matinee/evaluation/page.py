"""One self-contained page of a report: tables and plots, no outside requests."""

from __future__ import annotations

from html import escape

from matinee.evaluation.plots import overview
from matinee.evaluation.report import Report

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
table { border-collapse: collapse; } th, td { padding: .2rem .8rem; text-align: right; }
th:first-child, td:first-child { text-align: left; } tr { border-bottom: 1px solid #8884; }
svg { max-width: 100%; height: auto; background: white; }
@media (prefers-color-scheme: dark) { body { background: #161616; color: #eee; } }
"""


def page(report: Report) -> str:
    """Return the page as HTML."""
    protocol = "".join(f"<p>{escape(line)}</p>" for line in report.note.splitlines())
    parts = [f"<h2>{escape(heading)}</h2>\n{table._repr_html_()}" for heading, table in report.tables.items()]
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Matinee: how good the models are</title>\n<style>{STYLE}</style>\n</head>\n<body>",
            f"<h1>How good the models are</h1>\n{protocol}",
            overview(report).svg(),
            *parts,
            "</body>\n</html>\n",
        ]
    )
