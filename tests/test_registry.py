from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from matinee.errors import UsageError
from matinee.models.als import ALS
from matinee.models.blend import Blend
from matinee.models.ease import Ease
from matinee.models.ials import IALS
from matinee.models.registry import MODELS, RANKERS, RATERS, by_name, from_json, to_json, with_settings
from matinee.spark.engine import Cluster


@pytest.mark.parametrize("name", MODELS)
def test_config__comes_back_from_json(name: str) -> None:
    config = by_name(name)()
    assert config.name == name
    assert from_json(json.loads(json.dumps(to_json(config)))) == config


def test_config__comes_back_with_its_settings_and_its_parts() -> None:
    config = Blend(ease=Ease(reg=20.0), ials=IALS(rank=32, alpha=2.0), weight=0.3)
    assert from_json(to_json(config)) == config


def test_every_model__is_a_rater_or_a_ranker() -> None:
    assert sorted([*RATERS, *RANKERS]) == sorted(MODELS)


def test_settings__are_read_as_people_write_them() -> None:
    assert with_settings(ALS(), {"rank": "12", "reg": "1", "intervals": "no"}) == ALS(rank=12, reg=1.0, intervals=False)
    assert with_settings(IALS(alpha=1.0), {"alpha": "none"}).alpha is None


def test_settings_that_are_text__stay_text() -> None:
    said = {"cold_start": "nan", "checkpoint_dir": "2026"}
    found: Any = with_settings(Cluster(), said)  # type: ignore[arg-type]
    assert {name: getattr(found, name) for name in said} == said
    assert with_settings(found, {"checkpoint_dir": "none"}) == Cluster(cold_start="nan")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"rank": "8.5"}, "als.rank must be int, not 8.5"),
        ({"rank": "many"}, "als.rank must be int, not 'many'"),
        ({"rank": "yes"}, "als.rank must be int, not True"),
        ({"reg": "none"}, "als.reg must be float, not None"),
        ({"regg": "1"}, "als has no setting 'regg'; it has rank, iterations, reg"),
    ],
)
def test_settings__say_what_they_can_be(settings: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        with_settings(ALS(), settings)


@pytest.mark.parametrize("said", [{}, [], {"model": "sald"}, {"model": "als", "rank": [8]}])
def test_json__of_something_else_is_refused(said: object) -> None:
    with pytest.raises(
        UsageError, match=r"needs its model|unknown model 'sald'; the models are bayes|als.rank must be int"
    ):
        from_json(said)  # type: ignore[arg-type]


def test_registry__imports_no_model_before_it_is_named() -> None:
    code = "import sys, matinee.models.registry; print([m for m in sys.modules if m.startswith('matinee.models.')])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "['matinee.models.registry']"


@pytest.mark.parametrize("name", MODELS)
def test_search_space__names_settings_of_its_model(name: str) -> None:
    config = by_name(name)()
    settings = to_json(config)
    assert all(0 < low < high for low, high in config.space.values())
    assert config.space.keys() <= settings.keys()
