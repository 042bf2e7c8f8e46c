"""Settings from a file: options that apply to every run.

    store = "/srv/matinee"      # of every command that has --store
    [serve]                     # of this command alone
    port = 80
    [snapshot]                  # of every command of `matinee snapshot` that has --keep
    keep = 5
    [snapshot.list]             # of a command of a command
    json = true

If an option and a command share a name, a value sets the option and a section the command: `live = "..."` is
--live everywhere, `[live.migrate]` belongs to `matinee live migrate`.

An option on the command line wins over its variable, and that over the file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matinee.cli.program import longest
from matinee.errors import UsageError

FILE_NAME = "matinee.toml"


def read(path: Path | None, group: Any) -> dict[str, Any]:
    """Return the defaults of the group's commands as Click takes them; without a path, those of ./matinee.toml if any.

    Raises UsageError naming the file and what in it is invalid.
    """
    if path is None and not Path(FILE_NAME).is_file():
        return {}
    path = path or Path(FILE_NAME)
    try:
        given = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UsageError(f"no settings file {path}; name another one with --settings") from None
    except OSError as problem:
        raise UsageError(f"cannot read {path}: {problem.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise UsageError(f"{path} is not valid TOML: {problem}") from None
    return _defaults(path, group, given, {})


def _defaults(path: Path, group: Any, given: Mapping[str, Any], common: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults of each command of a group; `common` are the options that stand further up in the file."""
    sections = {name: value for name, value in given.items() if isinstance(value, Mapping)}
    for name in sections.keys() - group.commands.keys():
        raise UsageError(f"{path}: unknown command [{name}]; the commands are {', '.join(group.commands)}")
    own = {name: value for name, value in given.items() if name not in sections}
    for name in own.keys() - {name for command in _commands(group) for name in _options(command)}:
        raise UsageError(f"{path}: no command has the option --{name}; see `matinee COMMAND --help`")
    both = {**common, **own}
    return {name: _of(path, name, command, sections.get(name, {}), both) for name, command in group.commands.items()}


def _of(path: Path, name: str, command: Any, own: Mapping[str, Any], common: Mapping[str, Any]) -> dict[str, Any]:
    """Return one command's defaults by the names of its parameters."""
    if hasattr(command, "commands"):
        return _defaults(path, command, own, common)
    options = _options(command)
    for option in own.keys() - options.keys():
        raise UsageError(f"{path}: `matinee {name}` has no option --{option}; see `matinee {name} --help`")
    chosen = {option: value for option, value in common.items() if option in options} | dict(own)
    return {options[option].name: _value(path, option, options[option], value) for option, value in chosen.items()}


def _value(path: Path, option: str, parameter: Any, value: Any) -> Any:
    """Return a value as on the command line: a list with commas, unless the option repeats."""
    if not isinstance(value, list) or parameter.multiple:
        return value
    if not (parameter.metavar or "").endswith(",..."):
        raise UsageError(f"{path}: {option} takes one value, not a list of {len(value)}")
    return ",".join(map(str, value))


def _options(command: Any) -> dict[str, Any]:
    """Return {option as it is typed, without dashes: its parameter}."""
    options = (one for one in command.params if one.param_type_name == "option" and one.name != "help")
    return {longest(one.opts).lower().replace("_", "-"): one for one in options}


def _commands(group: Any) -> list[Any]:
    return [
        leaf
        for command in group.commands.values()
        for leaf in (_commands(command) if hasattr(command, "commands") else [command])
    ]
