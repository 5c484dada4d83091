"""Pydantic findings as problems with place, field and suggestion."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError, field_validator

from monitor.config.fields import Duration, StrictModel
from monitor.config.problems import field_names, problems_from
from monitor.config.yaml_lines import load_with_positions


class Stock(StrictModel):
    kind: Literal["stock"]
    sku: str


class Http(StrictModel):
    kind: Literal["http"]
    url: str
    secret: str = ""


class Shop(StrictModel):
    name: str
    after: Duration = 0
    channels: list[Annotated[Stock | Http, Field(discriminator="kind")]] = Field(default=[])
    by_speed: dict[str, Duration] = Field(default={})
    count: int | None = None
    limit: int | list[int] = 0
    for_ms: Duration = Field(default=0, alias="for")

    @field_validator("name")
    @classmethod
    def _lower(cls, value: str) -> str:
        if value != value.lower():
            raise ValueError("must be lower case")
        return value


def problems(text: str) -> list[str]:
    value, positions = load_with_positions(text, "f.yaml")
    with pytest.raises(ValidationError) as caught:
        Shop.model_validate(value)
    return [str(problem) for problem in problems_from(caught.value, positions, "f.yaml", Shop)]


def test_good_file_is_accepted_with_nested_models() -> None:
    """Strict models take plain mappings, and durations become milliseconds."""
    value, _ = load_with_positions(
        "{name: a, after: 3m, for: 0, channels: [{kind: stock, sku: x}], by_speed: {fast: 60s}}", ""
    )
    shop = Shop.model_validate(value)
    assert (shop.after, shop.for_ms, shop.by_speed) == (180_000, 0, {"fast": 60_000})
    assert shop.channels == [Stock(kind="stock", sku="x")]


def test_all_problems_come_in_the_order_of_the_file() -> None:
    """One run names everything: unknown field, wrong type, missing field, bad duration."""
    assert problems(
        "name: Shop\n"
        "aftr: 3m\n"
        "after: 3 minutes\n"
        "channels:\n"
        "  - {kind: http, secrt: hunter2}\n"
        "  - {kind: htp}\n"
        "by_speed: {fast: 60}\n"
        "count: many\n"
        "limit: [1, x]\n"
    ) == [
        "f.yaml:1:7 name must be lower case",
        "f.yaml:2:1 unknown field 'aftr'; did you mean 'after'?",
        "f.yaml:3:8 after must be a duration such as 500ms, 60s, 3m, 6h, 30d",
        "f.yaml:5:5 field 'url' is missing",
        "f.yaml:5:18 unknown field 'secrt'; did you mean 'secret'?",
        "f.yaml:6:5 channels[2] has an unknown kind 'htp'; known are 'stock', 'http'",
        "f.yaml:7:18 by_speed.fast must be a duration such as 500ms, 60s, 3m, 6h, 30d",
        "f.yaml:8:8 count must be a whole number",
        "f.yaml:9:8 limit must be a whole number",
        "f.yaml:9:12 limit[2] must be a whole number",
    ]


def test_members_of_a_union_complain_once() -> None:
    """A value that fits neither member is one problem, not one per member."""
    assert problems("{name: a, limit: x}") == ["f.yaml:1:18 limit must be a whole number"]


def test_file_that_is_not_a_mapping_is_said_so() -> None:
    """A list or nothing at the top level is one clear problem."""
    assert problems("- 1") == ["f.yaml:1:1 the file must be a mapping of keys to values"]
    assert problems("") == ["f.yaml:1:1 the file must be a mapping of keys to values"]


def test_field_names_follow_lists_dicts_unions_and_aliases() -> None:
    """The suggestion list is that of the model the location points into."""
    assert field_names(Shop, ("channels", 0, "http")) == ["kind", "url", "secret"]
    assert "for" in field_names(Shop, ())
    assert field_names(Shop, ("by_speed", "fast")) == []
