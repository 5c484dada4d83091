"""docs/configuration.md names every key with its default, and no key that does not exist."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from monitor.config.later import ANY, LATER_INTEGRATIONS, LATER_KEYS
from monitor.config.schema import Document

PAGE = Path(__file__).resolve().parents[3] / "docs/configuration.md"
ROW = re.compile(
    r"^\| `(?P<key>[^`]+)` \| (?P<default>[^|]*) \| (?P<meaning>[^|]+) \|$", re.MULTILINE
)


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key of the schema as the page writes it, with its field."""
    for name, field in model.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        yield key, field
        yield from below(field.annotation, key)


def below(kind: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield from keys(kind, f"{key}.")
        return
    suffix = {list: "[]", dict: ".*"}.get(get_origin(kind), "")
    for part in get_args(kind):
        if not isinstance(part, str | int):
            yield from below(part, key + suffix)


def rows() -> dict[str, tuple[str, str]]:
    """Key, default and meaning of every row of the page."""
    text = PAGE.read_text(encoding="utf-8")
    return {row["key"]: (row["default"], row["meaning"]) for row in ROW.finditer(text)}


def is_leaf(field: Any) -> bool:
    """Whether the key holds a value; mappings are described by their own keys."""
    return not any(True for _ in below(field.annotation, ""))


def test_every_key_is_documented_and_every_documented_key_exists() -> None:
    """The page and the schema name the same keys."""
    schema = dict(keys(Document))
    assert [key for key, field in schema.items() if is_leaf(field) and key not in rows()] == []
    assert [key for key in rows() if key not in schema] == []


def test_documented_defaults_are_the_real_ones() -> None:
    """Words, numbers and flags are literally what the schema has."""
    schema = dict(keys(Document))
    for key, (written, _) in rows().items():
        default = schema[key].default
        if isinstance(default, str):
            assert written == f"`{default}`", key
        elif isinstance(default, bool):
            assert written == f"`{str(default).lower()}`", key


def test_documented_durations_are_the_real_ones() -> None:
    """A sample of durations, by hand."""
    schema = dict(keys(Document))
    for key, default_ms in {
        "retention.events": 2_592_000_000,
        "retention.orders": 34_560_000_000,
        "promise.default": 180_000,
        "tiers.l2_after": 300_000,
        "tiers.l3_after": 1_800_000,
        "channels[].settle": 600_000,
        "channels[].submit.timeout": 10_000,
        "failover.min_dwell": 600_000,
        "fallback.after": 300_000,
        "fallback.claim_ttl": 86_400_000,
    }.items():
        assert schema[key].default == default_ms, key
    assert rows()["fallback.claim_ttl"][0] == "`24h`"
    assert rows()["channels[].settle"][0] == "`10m`"


def test_keys_of_later_versions_are_documented() -> None:
    """Whoever wonders about a warning finds it on the page."""
    text = PAGE.read_text(encoding="utf-8")
    for path in LATER_KEYS:
        key = ".".join(str(part) for part in path).replace(f".{ANY}", "[]")
        if path[-1] not in (*LATER_INTEGRATIONS, "secret"):
            assert f"`{key}`" in text, key
