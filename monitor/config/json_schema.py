"""JSON Schema (draft 2020-12) of rule files and rule tests, for editors.

It is made from the classes that read the files, so it cannot drift from them; `rules/schema.json`
and `rules/tests/schema.json` are its output. An expression is only text here: whether it parses is
said by `check`, with the column. In a file: `# yaml-language-server: $schema=schema.json`.
"""

from __future__ import annotations

import inspect
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from monitor.config.json_schema_words import RULE_WORDS, TEST_WORDS, Words
from monitor.config.rule_tests_schema import StoriesFile
from monitor.config.rules_schema import RulesFile
from monitor.model.times import format_duration

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DURATION = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d|w))+$"
_SPAN: Schema = {"type": ["string", "integer"], "pattern": _DURATION, "minimum": 0, "maximum": 0}
_PERCENT: Schema = {
    "type": ["string", "number"],
    "pattern": r"^[0-9]{1,3}(\.[0-9]+)? ?%$",
    "minimum": 0,
    "maximum": 100,
}
_PAIR: Schema = {"type": "array", "items": _SPAN, "minItems": 2, "maxItems": 2}
_TIME: Schema = {"type": "string", "format": "date-time"}

# What is written in a file, where a class holds what was made of it; by the reading function.
_WRITTEN: dict[str, Schema] = {
    "fields._duration": _SPAN,
    "rules_schema._percent": _PERCENT,
    "rules_schema._objective": _PERCENT,
    "rules_schema._seconds": {"type": "string", "pattern": _DURATION},
    "rules_schema._moment": _TIME,
    "rules_schema._false_alarms": {
        "type": "string",
        "pattern": r"^\s*[0-9]{1,6}\s*/\s*[0-9][0-9a-z.]{0,20}\s*$",
    },
    "rule_tests_schema._start": _TIME,
    "rule_tests_schema._delay": {
        "type": ["string", "integer"],
        "pattern": rf"^never$|{_DURATION}",
        "minimum": 0,
        "maximum": 0,
    },
    "rule_tests_schema._pair": _PAIR,
    "rule_tests_schema._pair_or_true": {"anyOf": [{"const": True}, _PAIR]},
}
_LISTED = ("known", "words")  # what the closures of `_known` and `one_of` hold
_NOT_WORDS = ("title", "ge", "le", "gt", "lt")


def schema_of_rules() -> Schema:
    """The schema of a rule file."""
    return _schema(RulesFile, "Rules of Delivery Monitor", RULE_WORDS)


def schema_of_tests() -> Schema:
    """The schema of a file of rule tests."""
    return _schema(StoriesFile, "Rule tests of Delivery Monitor", TEST_WORDS)


def _schema(model: type[BaseModel], title: str, words: dict[str, Words]) -> Schema:
    made = model.model_json_schema(by_alias=True, schema_generator=_Generator)
    definitions = made.pop("$defs")
    for name, definition in {**definitions, model.__name__: made}.items():
        for field, schema in definition.get("properties", {}).items():
            _describe(schema, words.get(f"{name}.{field}") or words.get(field))
    top = {"$schema": DIALECT, "title": title, **_plain(made)}
    return {**top, "$defs": {name: _plain(one) for name, one in sorted(definitions.items())}}


class _Generator(GenerateJsonSchema):
    """Says of a value how it is written, where pydantic would say what becomes of it."""

    def function_before_schema(
        self, schema: core_schema.BeforeValidatorFunctionSchema
    ) -> JsonSchemaValue:
        return self._as_written(schema["function"]) or self._listed(
            schema["function"], super().function_before_schema(schema)
        )

    def function_after_schema(
        self, schema: core_schema.AfterValidatorFunctionSchema
    ) -> JsonSchemaValue:
        return self._listed(schema["function"], super().function_after_schema(schema))

    def _as_written(self, function: Any) -> JsonSchemaValue | None:
        reader = function["function"]
        name = f"{reader.__module__.rpartition('.')[2]}.{reader.__qualname__}"
        written = _WRITTEN.get(name)
        return None if written is None else dict(written)

    def _listed(self, function: Any, made: JsonSchemaValue) -> JsonSchemaValue:
        """Add the words that a validator lets pass; of a flag or a word, to the word."""
        reader = function["function"]
        if not inspect.isfunction(reader):
            return made
        held = inspect.getclosurevars(reader).nonlocals
        words = next((held[name] for name in _LISTED if name in held), None)
        if words is None:
            return made
        for one in made.get("anyOf", [made]):
            if one.get("type") == "string":
                one["enum"] = [str(word) for word in words]
        return made


def _describe(schema: Schema, words: Words | None) -> None:
    if words is not None:
        schema["description"], examples = words
        if examples:
            schema["examples"] = list(examples)
    default = schema.get("default")
    if isinstance(default, int) and _is_span(schema):
        schema["default"] = format_duration(default) if default else 0
    elif default is None or isinstance(default, dict | list):
        schema.pop("default", None)  # nothing, an empty list: not worth a line in an editor


def _is_span(schema: Schema) -> bool:
    return schema.get("pattern") == _DURATION


def _plain(value: Any, *, is_schema: bool = True) -> Any:
    """Leave out titles made from field names and limits of what is written as text."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: one if key in ("default", "examples") else _plain(one, is_schema=key != "properties")
        for key, one in value.items()
        if not (is_schema and key in _NOT_WORDS)
    }
