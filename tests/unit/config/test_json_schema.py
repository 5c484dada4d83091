"""The schema for editors takes what the reader takes, refuses typos, and is the committed one.

The validator below knows the keywords that occur and fails on any other; `jsonschema` is used as
well where it is installed.
"""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

from monitor.cli.main import main
from monitor.config.json_schema import schema_of_rules, schema_of_tests
from monitor.config.rules_file import rule_files_in, shipped_path
from monitor.config.yaml_lines import load_with_positions

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
WORDS_ONLY = ("$schema", "$defs", "title", "description", "examples", "default", "format")


def fits(value: Any, schema: dict[str, Any], whole: dict[str, Any]) -> bool:
    """Whether a value satisfies a schema, by the rules of JSON Schema for the keywords used."""
    return all(_holds(key, value, schema, whole) for key in schema if key not in WORDS_ONLY)


def _holds(key: str, value: Any, schema: dict[str, Any], whole: dict[str, Any]) -> bool:
    wanted = schema[key]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match key:
        case "$ref":
            return fits(value, whole["$defs"][wanted.rpartition("/")[2]], whole)
        case "anyOf":
            return any(fits(value, one, whole) for one in wanted)
        case "const":
            return type(value) is type(wanted) and bool(value == wanted)
        case "enum":
            return value in wanted
        case "type":
            names = [wanted] if isinstance(wanted, str) else wanted
            return any(
                isinstance(value, TYPES[name]) and (isinstance(value, bool) <= (name == "boolean"))
                for name in names
            )
        case "pattern":
            return not isinstance(value, str) or re.search(wanted, value) is not None
        case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum":
            return not is_number or _is_within(key, value, wanted)
        case "minLength" | "maxLength":
            return not isinstance(value, str) or _is_sized(key, value, wanted)
        case "minItems" | "maxItems":
            return not isinstance(value, list) or _is_sized(key, value, wanted)
        case "maxProperties":
            return not isinstance(value, dict) or len(value) <= wanted
    return _holds_inside(key, value, schema, whole)


def _holds_inside(key: str, value: Any, schema: dict[str, Any], whole: dict[str, Any]) -> bool:
    wanted = schema[key]
    match key:
        case "items":
            return not isinstance(value, list) or all(fits(one, wanted, whole) for one in value)
        case "required":
            return not isinstance(value, dict) or set(wanted) <= set(value)
        case "properties":
            fields = value if isinstance(value, dict) else {}
            return all(fits(fields[name], wanted[name], whole) for name in wanted if name in fields)
        case "additionalProperties":
            others = set(value if isinstance(value, dict) else {}) - set(
                schema.get("properties", ())
            )
            return all(wanted is not False and fits(value[name], wanted, whole) for name in others)
        case "propertyNames":
            return not isinstance(value, dict) or all(fits(name, wanted, whole) for name in value)
    raise AssertionError(f"the test does not know the keyword {key!r}")


def _is_within(key: str, value: float, limit: float) -> bool:
    return {
        "minimum": value >= limit,
        "maximum": value <= limit,
        "exclusiveMinimum": value > limit,
        "exclusiveMaximum": value < limit,
    }[key]


def _is_sized(key: str, value: str | list[Any], size: int) -> bool:
    return len(value) >= size if key.startswith("min") else len(value) <= size


def accepted(text: str, schema: dict[str, Any]) -> bool:
    """Whether the schema takes a YAML text."""
    value, _ = load_with_positions(text, "f.yaml")
    found = fits(value, schema, schema)
    if importlib.util.find_spec("jsonschema"):
        module = importlib.import_module("jsonschema")
        assert module.Draft202012Validator(schema).is_valid(value) == found
    return found


def test_committed_schemas_are_what_the_verb_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """`delivery-monitor rules schema > rules/schema.json` after a change of the format."""
    for kind, file in (("rules", "schema.json"), ("tests", "tests/schema.json")):
        assert main(["rules", "schema", kind]) == 0
        assert (shipped_path() / file).read_text(encoding="utf-8") == capsys.readouterr().out


@pytest.mark.parametrize("folder", ["", "tests"])
def test_shipped_files_fit(folder: str) -> None:
    """Rules and tests that are read are taken by the schema too."""
    schema = schema_of_tests() if folder else schema_of_rules()
    files = rule_files_in(shipped_path() / folder)
    assert files
    for file in files:
        assert accepted(file.read_text(encoding="utf-8"), schema), file


RULE = "groups: [{{name: g, rules: [{{alert: A, expr: orders > 1{more}}}]}}]"


@pytest.mark.parametrize(
    ("more", "is_taken"),
    [
        ("", True),
        (", for: 1m30s", True),
        (", for: 0", True),
        (", for: 90", False),  # seconds or minutes?
        (", for: 1 minute", False),
        (", fro: 1m", False),
        (", severity: critical", True),
        (", severity: error", False),
        (", confidence: 0.999", True),
        (", confidence: 1", False),
        (", max_false_alarms: 1/30d", True),
        (", min_count: '2'", False),
        (", by: [channel]", True),
        (", by: channel", False),
        (", actions: [{type: failover}]", True),
        (", actions: [{type: reboot}]", False),
        (", owner: ", True),
    ],
)
def test_schema_of_rules_knows_fields_and_forms(more: str, is_taken: bool) -> None:
    """The right neighbour of every wrong one is taken."""
    assert accepted(RULE.format(more=more), schema_of_rules()) is is_taken


@pytest.mark.parametrize(
    ("line", "is_taken"),
    [
        ("{orders: 9, every: 60s, delay: never}", True),
        ("{orders: 9, every: 60s, delay: sometimes}", False),
        ("{at: 5m, order: A, type: order.refunded}", True),
        ("{at: 5m, order: A, type: order.refund}", False),
        ("{at: 5m, restart: kill}", True),
        ("{at: 5m, restart: true}", True),
        ("{at: 5m, restart: slowly}", False),
        ("{at: 5m, outage: ingest, for: 30m}", True),
    ],
)
def test_schema_of_tests_knows_events(line: str, is_taken: bool) -> None:
    """Words of the contract and forms of durations."""
    text = f"start: 2026-01-05T10:00:00+08:00\ntests: [{{name: t, events: [{line}]}}]"
    assert accepted(text, schema_of_tests()) is is_taken


@pytest.mark.parametrize("schema", [schema_of_rules(), schema_of_tests()], ids=["rules", "tests"])
def test_every_field_is_described_and_its_examples_fit(schema: dict[str, Any]) -> None:
    """An editor has something to say about each."""
    for name, model in {**schema["$defs"], "the file": schema}.items():
        for field, one in model["properties"].items():
            assert one.get("description"), f"{name}.{field}"
            for example in one.get("examples", []):
                assert fits(example, one, schema), f"{name}.{field}: {example}"


def test_schema_goes_into_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With -o, or on one line with --json."""
    path = tmp_path / "s.json"
    assert main(["rules", "schema", "-o", str(path)]) == 0
    assert json.loads(path.read_text(encoding="utf-8")) == schema_of_rules()
    assert main(["rules", "schema", "--json"]) == 0
    assert capsys.readouterr().out.count("\n") == 1
    assert main(["rules", "schema", "other"]) == 2
