"""Models as the command line names them: `--rater als --rank 16 --set ease.reg=250`, `--config best.json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from matinee.errors import UsageError
from matinee.models import Config
from matinee.models.registry import (
    RANKERS,
    RATERS,
    by_name,
    default_ranker,
    default_rater,
    to_json,
    with_settings,
    with_values,
)
from matinee.ratings import Ratings
from matinee.tuning import load_config

__all__ = ["binary", "parsed", "rater_and_ranker", "several", "to_json"]

Settings = dict[str, dict[str, str]]


def parsed(assignments: Sequence[str] | None) -> Settings:
    """Read ["ease.reg=250"] as {model: {setting: value}}.

    >>> parsed(["ease.reg=250", "als.rank=12"])
    {'ease': {'reg': '250'}, 'als': {'rank': '12'}}
    """
    found: Settings = {}
    for assignment in assignments or ():
        setting, equals, value = assignment.partition("=")
        model, dot, name = setting.partition(".")
        if not (equals and dot and name):
            raise UsageError(f"--set takes MODEL.SETTING=VALUE such as ease.reg=250, not {assignment!r}")
        found.setdefault(by_name(model).name, {})[name] = value
    return found


def several(names: str, settings: Settings, seed: int, **options: Any) -> list[Config]:
    """Return the configs of comma-separated models, with options that are not None and settings.

    Raises UsageError for settings of another model.
    """
    found = [by_name(name.strip())() for name in names.split(",")]
    _check_used(settings, {config.name for config in found})
    return [_with(config, settings, seed, options) for config in found]


def binary(configs: Sequence[Config]) -> list[Config]:
    """Return the configs with `ease`, also inside a blend, seeing only who rated what.

    Raises UsageError without ease.
    """
    unstarred = {"star_weight": "0", "stranger": "0"}
    found: list[Config] = []
    for config in configs:
        inner = getattr(config, "ease", None)
        if config.name == "ease":
            found.append(with_settings(config, unstarred))
        else:
            found.append(config if inner is None else with_values(config, {"ease": with_settings(inner, unstarred)}))
    if found == list(configs):
        raise UsageError("--binary needs ease or blend among the models of --model")
    return found


def _with(found: Config, settings: Settings, seed: int, options: dict[str, Any]) -> Config:
    seeded = {"rng": str(seed)} if "rng" in {field.name for field in fields(found)} else {}  # type: ignore[arg-type]
    said = {name: str(value) for name, value in options.items() if value is not None}
    return with_settings(found, {**seeded, **said, **settings.get(found.name, {})})


def rater_and_ranker(
    rater: str | None,
    ranker: str | None,
    file: Path | None,
    settings: Settings,
    seed: int,
    ratings: Ratings | None,
    **options: Any,
) -> tuple[Config, Config | None]:
    """Return the configs that `matinee train` fits; `options` are the rater's, and without ratings there is no ranker.

    Raises UsageError for an unknown rater or ranker, or a setting of another model.
    """
    _check("--rater", rater, (*RATERS,))
    _check("--ranker", ranker, (*RANKERS, "none"))
    if file is not None and rater is not None:
        raise UsageError(f"--rater: {file} names the rater already; leave the option out")
    kept = load_config(file) if file else by_name(rater)() if rater else default_rater()
    _check(f"the rater in {file}", kept.name, (*RATERS,))
    ordering = by_name(ranker)() if ranker not in (None, "none") else None
    if ranker is None and ratings is not None:
        ordering = default_ranker(ratings)
    _check_used(settings, {kept.name} | ({ordering.name} if ordering else set()))
    return _with(kept, settings, seed, options), _with(ordering, settings, seed, {}) if ordering else None


def _check_used(settings: Settings, models: set[str]) -> None:
    for model in settings.keys() - models:
        raise UsageError(f"--set changes {model}, but the models here are {', '.join(sorted(models))}")


def _check(what: str, name: str | None, allowed: tuple[str, ...]) -> None:
    if name is not None and name not in allowed:
        raise UsageError(f"{what} must be one of {', '.join(allowed)}, not {name!r}")
