"""The program around the commands: the one place that turns errors into exit codes.

    0     fine
    1     failed; one line on standard error has the cause and the remedy
    2     an invalid option or argument
    130   interrupted by Ctrl-C

Every option `--some-name` can also be given as the variable MATINEE_SOME_NAME.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import Abort, TyperException

from matinee.errors import MatineeError, UsageError
from matinee.remedies import at_the_command_line

INTERRUPTED = 130
Command = TypeVar("Command", bound=Callable[..., Any])


class Group(TyperGroup):
    """Commands that end with an exit code and, if they fail, one line."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        options["standalone_mode"] = False
        _open_closed_streams()
        try:
            code = super().main(*arguments, **options) or 0
            sys.stdout.flush()
        except Exception as error:
            if _debugging():
                raise
            code = _exit_code(error)
            message = _message(error)
            with suppress(OSError):  # standard error may be full as well
                _output().complain(message)
        if code == INTERRUPTED:
            _output().remark("stopped by Ctrl-C")
        sys.exit(code)


class Subgroup(TyperGroup):
    """Commands of a command: errors travel up to the program."""


class _Command(TyperCommand):
    """A command whose options also come from the environment."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for parameter in self.params:
            if parameter.param_type_name == "option" and parameter.name != "help" and not parameter.envvar:
                parameter.envvar = f"MATINEE_{longest(parameter.opts)}"


def longest(names: list[str]) -> str:
    """Return the variable's part of an option's names: ["-n", "--not-genre"] -> "NOT_GENRE"."""
    return max(names, key=len).lstrip("-").replace("-", "_").upper()


def command(group: typer.Typer, example: str, name: str | None = None) -> Callable[[Command], Command]:
    """Register a function as a command whose help ends with an example."""

    def register(function: Command) -> Command:
        epilog = f"Example:  {example}"
        return group.command(name, cls=_Command, help=unwrapped(function.__doc__ or ""), epilog=epilog)(function)

    return register


def unwrapped(docstring: str) -> str:
    """Return its paragraphs, a line each: the terminal decides where to break them."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in docstring.split("\n\n"))


def start(verbose: bool) -> None:
    """Write the library's log to standard error: warnings, or everything."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a title may have letters that the terminal does not
    log = logging.getLogger("matinee")
    log.handlers = [logging.StreamHandler()]
    log.setLevel(logging.INFO if verbose else logging.WARNING)


def _open_closed_streams() -> None:
    """Let streams that the shell has closed, as by >&-, lead nowhere: no other file may get their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115


def _debugging() -> bool:
    return logging.getLogger("matinee").level == logging.INFO or os.environ.get("MATINEE_DEBUG", "0") != "0"


def _exit_code(error: Exception) -> int:
    if isinstance(error, UsageError):
        return 2
    return error.exit_code if isinstance(error, TyperException) else 1


def _message(error: Exception) -> str:
    match error:
        case MatineeError():
            return at_the_command_line(str(error))
        case TyperException():
            return _usage(error)
        case Abort():
            return "stopped"
        case OSError(strerror=str(reason), filename=str(place)):
            return f"{place}: {reason}"
        case OSError(strerror=str(reason)):
            return reason
        case MemoryError():
            return "not enough memory for this; use less data or a smaller model"
    return f"{type(error).__name__}: {error}; this is a bug in Matinee; MATINEE_DEBUG=1 prints the traceback"


def _usage(error: TyperException) -> str:
    context = getattr(error, "ctx", None)
    help_page = f"; see `{context.command_path} --help`" if context else ""
    return " ".join(error.format_message().rstrip(".").split()) + help_page


def _output() -> ModuleType:
    from matinee.cli import output

    return output
