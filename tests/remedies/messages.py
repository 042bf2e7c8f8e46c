"""The messages of the sources that name a next step, and those that no table of remedies tries, each with a reason."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import matinee
from matinee import errors
from matinee.service import problems

ERRORS = {
    name
    for module in (errors, problems)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, errors.MatineeError)
}
STEP = re.compile(r"`|--[a-z]|; (use|name|give|choose|install|try|or leave|or name)\b")
SOURCES = Path(matinee.__file__).parent


def messages() -> Iterator[tuple[str, str]]:
    """Yield (module, message) of each error that names a step; {} stands for what only the run knows."""
    for path in sorted(SOURCES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) in ERRORS and node.args:
                text = _text(node.args[0])
                if STEP.search(text):
                    yield str(path.relative_to(SOURCES)), text


def _name(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def _text(node: ast.expr) -> str:
    match node:
        case ast.Constant(str(text)):
            return text
        case ast.JoinedStr(parts):
            return "".join(map(_text, parts))
        case ast.BinOp(left, _, right):
            return _text(left) + _text(right)
    return "{}"


UNTRIED = {
    "needs the network, as tests/test_fetch.py has it": (
        "is not here yet; get it with",
        "broke off after {} of {} bytes",
        "does not match its checksum",
        "name a mirror with `source=URL`",
    ),
    "needs a package to be missing": ("plots need matplotlib", "trials need Optuna"),
    "needs a newer Matinee": ("was written by a newer Matinee, {}; install that one",),
    "needs numbers that no data here leads to; tests/test_kernels_solve.py has them": (
        "normal matrix is not positive definite",
        "the Gram matrix is",
        "the nonnegative equations of a row",
    ),
    "needs a model that Spark saved, as tests/test_spark_interop.py has them": (
        "was imported without its training ratings",
    ),
    "needs a refit, as tests/test_refit.py and tests/test_forgetting.py have it": (
        "publish it with --force",
        "holds ratings of users who were forgotten later",
        "a refit is running since",
    ),
    "needs Spark": (
        "--{} needs --engine spark",
        "{} works only with --engine local",
        "--trials works only with --engine local",
    ),
    "a rule of some other table in memory; tests/test_frames.py has them": ("name another column",),
}
"""Messages that no table tries, by the reason."""
ELSEWHERE = {
    "live/": "tests/test_live.py and tests/test_live_postgresql.py",
    "service/": "the tests of the interface and of the pages",
    "snapshot/": "tests/test_snapshot.py and tests/test_damage.py",
    "spark/": "the tests of Spark",
}
"""Folders whose messages other tests bring up."""
