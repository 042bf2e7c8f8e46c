"""Remedies: the next step that a message names, in the words of its reader.

A message of the library names its remedy as Python code between backticks. The command line and the service put it in
their own words:

    in Python                   at the command line                 over HTTP
    `scale="1:10"`              --scale 1:10                        ?scale=1:10
    `on_bad_rows="skip"`        --on-bad-rows skip
    `user=COLUMN`               --user COLUMN
    `ranker=IALS()`             --ranker ials
    `Ease(min_ratings=5)`       --set ease.min_ratings=5
    `mt.fetch("ml-1m")`         `matinee fetch ml-1m`
    `source=URL`                --from URL

Code that is none of these stays as it is.
"""

from __future__ import annotations

import ast
import re

CODE = re.compile(r"`([^`]+)`")
COMMANDS = {
    "mt.fetch": "fetch",
    "mt.train": "train",
    "mt.tune": "tune",
    "ds.catalog.search": "movies DATA",
    "mt.tune(ds, ALS()).save": "tune DATA --save",
    "mt.Store(DIR).ids": "snapshot list",
    "refit": "refit",
    "logging.basicConfig": "--verbose",
}
"""What each call is at the command line."""
OPTIONS = {"source": "--from", "conf": "--spark-conf", "level": ""}
"""Options that the command line calls otherwise, or does not have."""
ARGUMENTS = {"ds": "DATA", "store": "", "live": ""}
"""Arguments by their names in Python."""


def at_the_command_line(message: str) -> str:
    """Return a message with its remedies as options and commands.

    >>> at_the_command_line('pass `scale="1:10"`, or `on_bad_rows="skip"`; get it with `mt.fetch("ml-1m")`')
    'pass --scale 1:10, or --on-bad-rows skip; get it with `matinee fetch ml-1m`'
    >>> at_the_command_line('choose `ranker=IALS()`, or a larger `Ease(min_ratings=N)`; see `matinee serve`')
    'choose --ranker ials, or a larger --set ease.min_ratings=N; see `matinee serve`'
    """
    return CODE.sub(lambda found: _in_the_shell(found[1]) or found[0], message)


def over_http(message: str) -> str:
    """Return a message with its options as parameters of the query.

    >>> over_http('pass `scale="1:10"`')
    'pass ?scale=1:10'
    """
    return CODE.sub(lambda found: _in_a_query(found[1]) or found[0], message)


def _in_the_shell(code: str) -> str | None:
    call = _parsed(code)
    if call is None:
        return None
    if not call.args:
        return " ".join(map(_option, call.keywords))
    [said] = call.args[:1]
    name = ast.unparse(said.func if isinstance(said, ast.Call) else said)
    if name in COMMANDS:
        given = [*map(_text, said.args), *map(_option, said.keywords)] if isinstance(said, ast.Call) else []
        return f"`{' '.join(word for word in ('matinee', COMMANDS[name], *given) if word)}`"
    if isinstance(said, ast.Call) and isinstance(said.func, ast.Name) and said.keywords:
        return " ".join(f"--set {name.lower()}.{one.arg}={_text(one.value)}" for one in said.keywords)
    return None


def _in_a_query(code: str) -> str | None:
    call = _parsed(code)
    if call is None or call.args:
        return None
    return "?" + "&".join(f"{one.arg}={_text(one.value)}" for one in call.keywords)


def _parsed(code: str) -> ast.Call | None:
    """Return code as what is between the brackets of a call, None where it is no Python."""
    try:
        found = ast.parse(f"_({code})", mode="eval").body
    except SyntaxError:
        return None
    return found if isinstance(found, ast.Call) and (found.args or found.keywords) else None


def _option(keyword: ast.keyword) -> str:
    name = OPTIONS.get(str(keyword.arg), f"--{str(keyword.arg).replace('_', '-')}")
    if not name:
        return ""
    match keyword.value:
        case ast.Constant(True):
            return name
        case ast.Constant(False):
            return name.replace("--", "--no-", 1)
    return f"{name} {_text(keyword.value)}"


def _text(value: ast.expr) -> str:
    """Return a value as one writes it without Python: text without quotes, a config by its name."""
    match value:
        case ast.Constant(said):
            return str(said)
        case ast.Call(func=ast.Name(name)):
            return name.lower()
        case ast.Name(name) if name in ARGUMENTS:
            return ARGUMENTS[name]
        case ast.Dict(keys, values):
            return " ".join(f"{_text(key)}={_text(one)}" for key, one in zip(keys, values, strict=True) if key)
    return ast.unparse(value)
