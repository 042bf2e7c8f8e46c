"""The filters are declared once; every way to ask follows the declaration."""

from __future__ import annotations

from dataclasses import fields
from inspect import signature

from matinee.cli.batch_recommend import batch_recommend
from matinee.cli.recommend import recommend
from matinee.filter_options import FILTERS, FilterOptions
from matinee.recommender import Filters
from matinee.service.api.recommendations import RecommendationRequest, UserListOptions


def test_filters__can_be_passed_in_python() -> None:
    assert FilterOptions.__annotations__.keys() == FILTERS.keys()


def test_filters__are_fields_of_the_object_that_applies_them() -> None:
    several = {f"{name}s" if option.several else name for name, option in FILTERS.items()}
    assert {one.name for one in fields(Filters)} == several


def test_filters__are_options_of_the_command_line() -> None:
    for command in (recommend, batch_recommend):
        assert signature(command).parameters.keys() >= FILTERS.keys()


def test_filters__are_parameters_of_the_interface() -> None:
    for model in (UserListOptions, RecommendationRequest):
        described = {name: field.description for name, field in model.model_fields.items()}
        assert described.items() >= {name: option.help for name, option in FILTERS.items()}.items()
