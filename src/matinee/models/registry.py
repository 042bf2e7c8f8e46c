"""Configs by name: how a command, a manifest or a settings file names a model and its settings.

{"model": "als", "rank": 8, "reg": 0.1, ...}       a config in JSON, a config inside a config likewise
ease.reg=250                                       one setting, as in `--set`
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import fields, replace
from importlib import import_module
from typing import Any

from matinee.errors import UsageError
from matinee.model_names import MODELS, RANKERS, RATERS
from matinee.models import Config
from matinee.ratings import Ratings

__all__ = [
    "MODELS",
    "RANKERS",
    "RATERS",
    "by_name",
    "default_ranker",
    "default_rater",
    "from_json",
    "to_json",
    "with_settings",
    "with_values",
]

MAX_EASE_MOVIES = 20_000


def by_name(name: str) -> type[Config]:
    """Return the config class of a model.

    Raises UsageError for an unknown model.

    >>> by_name("als")(rank=4)
    ALS(rank=4, iterations=10, reg=0.1, min_history=10, nonnegative=False, intervals=True, rng=0)
    """
    if name not in MODELS:
        raise UsageError(f"unknown model {name!r}; the models are {', '.join(MODELS)}")
    module, _, config = MODELS[name].partition(".")
    found: type[Config] = getattr(import_module(f"matinee.models.{module}"), config)
    return found


def default_rater() -> Config:
    """Return the default rater."""
    return by_name("bayes")()


def default_ranker(ratings: Ratings) -> Config | None:
    """Return the default ranker: `ease`, or `ials` where that does not fit into memory.

    Returns None where no movie has the ratings that `ease` needs.
    """
    ease: Any = by_name("ease")()
    eligible = int((ratings.movie_counts >= ease.min_ratings).sum())
    return None if not eligible else ease if eligible <= MAX_EASE_MOVIES else by_name("ials")()


def to_json(config: Config) -> dict[str, Any]:
    """Return a config as JSON values.

    >>> to_json(by_name("bias")())
    {'model': 'bias', 'movie_damping': 5.0, 'user_damping': 5.0}
    """
    values = {field.name: getattr(config, field.name) for field in fields(config)}  # type: ignore[arg-type]
    inner = {name: to_json(value) for name, value in values.items() if hasattr(value, "fit")}
    return {"model": config.name, **values, **inner}


def from_json(said: Mapping[str, Any]) -> Config:
    """Return the config of `to_json`'s values; missing settings have their defaults.

    Raises UsageError for an unknown model or setting, or an invalid value.
    """
    if not isinstance(said, Mapping) or "model" not in said:
        raise UsageError(f'a config needs its model, as in {{"model": "als"}}, not {json.dumps(said)}')
    kind = by_name(said["model"])
    return with_values(kind(), {name: value for name, value in said.items() if name != "model"})


def with_settings(config: Config, settings: Mapping[str, str]) -> Config:
    """Return the config with some settings as people write them: {"reg": "250", "alpha": "none", "bias": "no"}.

    Raises UsageError as `from_json` does.

    >>> with_settings(by_name("als")(), {"rank": "12", "reg": ".05"}).reg
    0.05
    """
    kinds = _kinds(config)
    return with_values(config, {name: _read(text, kinds.get(name, ())) for name, text in settings.items()})


def with_values(config: Config, values: Mapping[str, Any]) -> Config:
    """Return the config with these settings. Raises UsageError as `from_json` does."""
    checked = {name: _checked(config, name, value) for name, value in values.items()}
    changed: Config = replace(config, **checked)  # type: ignore[type-var]
    return changed


def _kinds(config: Config) -> dict[str, list[str]]:
    """Return the types of each setting of a config: {"alpha": ["float", "None"]}."""
    return {field.name: str(field.type).split(" | ") for field in fields(config)}  # type: ignore[arg-type]


def _read(text: str, kinds: Collection[str]) -> Any:
    """Return the value of a text: the text for a text setting, else a number, a yes or no, nothing, or the text."""
    if "str" in kinds and not ("None" in kinds and text.lower() == "none"):
        return text
    words = {"none": None, "yes": True, "true": True, "no": False, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    for number in (int, float):
        with suppress(ValueError):
            return number(text)
    return text


def _checked(config: Config, name: str, value: Any) -> Any:
    """Return the value in the type of this setting of the config."""
    kinds = _kinds(config)
    if name not in kinds:
        raise UsageError(f"{config.name} has no setting {name!r}; it has {', '.join(kinds) or 'none'}")
    value = from_json(value) if isinstance(value, Mapping) else value
    kind = "None" if value is None else type(value).__name__
    allowed = kinds[name]
    if kind in allowed:
        return value
    if kind == "int" and "float" in allowed:
        return float(value)
    raise UsageError(f"{config.name}.{name} must be {' | '.join(allowed)}, not {value!r}")
