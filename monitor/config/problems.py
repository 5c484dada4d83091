"""Turn what pydantic found wrong into problems a person can act on: place, field, suggestion."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from monitor.config.yaml_lines import Positions, YamlPath
from monitor.model.errors import Problem
from monitor.model.spelling import did_you_mean

_WORDS = {
    "missing": "is missing",
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "float_type": "must be a number",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping of keys to values",
    "model_type": "must be a mapping of keys to values",
    "model_attributes_type": "must be a mapping of keys to values",
}


def problems_from(
    error: ValidationError, positions: Positions, path: str, model: type[BaseModel]
) -> list[Problem]:
    """List one problem per pydantic finding, in the order of the file.

    `model` is what was validated; its fields are the words suggested for an unknown one. Values
    are not quoted (a file may hold a secret), except the tag of a union member. A location part
    that is not in the file (such a tag) is skipped. Of the findings at one place only the first
    is kept: the members of an untagged union each complain about the same value.
    """
    found: dict[YamlPath, Problem] = {}
    for detail in error.errors(include_url=False, include_input=False):
        at = _path_in_file(detail["loc"], positions, detail["type"])
        if at not in found:
            found[at] = _problem(detail, at, positions, path, model)
    return sorted(found.values(), key=lambda problem: (problem.line, problem.column))


def field_names(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """List the field names, as written in the file, of the model at a pydantic location."""
    kinds: list[Any] = [model]
    for part in location:
        kinds = [inner for kind in kinds for inner in _step(kind, part)]
    return [
        name
        for kind in kinds
        for member in _members(kind)
        if _is_model(member)
        for name in _fields(member)
    ]


def _problem(
    detail: ErrorDetails, at: YamlPath, positions: Positions, path: str, model: type[BaseModel]
) -> Problem:
    name = _dotted(at)
    match detail["type"]:
        case "extra_forbidden":
            line, column = positions.key(at)
            known = field_names(model, detail["loc"][:-1])
            hint = did_you_mean(str(at[-1]), known) or f"known are {', '.join(known)}"
            return Problem(path, line, column, f"unknown field '{at[-1]}'", hint)
        case "missing":
            line, column = positions.at(at)
            return Problem(path, line, column, f"field '{at[-1]}' is missing")
        case "union_tag_invalid":
            line, column = positions.at(at)
            context = detail.get("ctx", {})
            field, tag = context["discriminator"].strip("'"), context["tag"]
            message = f"{name} has an unknown {field} '{tag}'"
            return Problem(path, line, column, message, f"known are {context['expected_tags']}")
        case kind:
            line, column = positions.at(at)
            words = _WORDS.get(kind) or _own_words(detail["msg"])
            return Problem(path, line, column, f"{name} {words}" if name else f"the file {words}")


def _own_words(message: str) -> str:
    """Take a validator's own sentence; of pydantic's only the first word is changed."""
    for prefix in ("Value error, ", "Assertion failed, "):
        if message.startswith(prefix):
            return message.removeprefix(prefix)
    return message.replace("Input should be", "must be")


def _dotted(at: YamlPath) -> str:
    text = ""
    for part in at:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _path_in_file(location: tuple[int | str, ...], positions: Positions, kind: str) -> YamlPath:
    """Drop the parts of a pydantic location that name a union member instead of a place."""
    path: YamlPath = ()
    for index, part in enumerate(location):
        is_last = index == len(location) - 1
        if (*path, part) in positions.values or (is_last and kind == "missing"):
            path = (*path, part)
    return path


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {
        str(field.alias or field.validation_alias or name): field.annotation
        for name, field in model.model_fields.items()
    }


def _members(kind: Any) -> Iterator[Any]:
    """Yield the members of a union, through `Annotated`."""
    if get_origin(kind) is Annotated:
        yield from _members(get_args(kind)[0])
    elif get_origin(kind) in (Union, types.UnionType):
        for member in get_args(kind):
            yield from _members(member)
    else:
        yield kind


def _step(kind: Any, part: int | str) -> Iterator[Any]:
    """Yield the types one location part deeper; a union tag stays with the members it names."""
    for member in _members(kind):
        if _is_model(member):
            fields = _fields(member)
            if part in fields:
                yield fields[str(part)]
            elif part == member.__name__ or part in _literals(member):
                yield member
        elif get_origin(member) in (list, tuple) and isinstance(part, int):
            yield get_args(member)[0]
        elif get_origin(member) is dict:
            yield get_args(member)[1]


def _literals(model: type[BaseModel]) -> list[Any]:
    return [
        value
        for annotation in _fields(model).values()
        if get_origin(annotation) is Literal
        for value in get_args(annotation)
    ]
