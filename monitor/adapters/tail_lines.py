"""A line of somebody's log becomes a flat event, as it could have come to `/v1/events`.

    line ─► fields by path (JSON) or by group (pattern) ─► `map` ─► flat event

Only what the map names is taken, so nothing else of a line goes any further.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import msgspec

from monitor.model.errors import InputError
from monitor.model.money import decimals_of, to_minor
from monitor.model.tails import Line, TailField, TailSource
from monitor.model.times import SECOND_MS

_COUNTS = ("quantity", "attempt", "amount_minor")
_MS_FROM = 100_000_000_000  # a number of seconds until the year 5138, a number of ms after 1973
_LEFT_OUT = object()

Flat = dict[str, object]
Reader = Callable[[Line], Flat | None]


def reader_of(tail: TailSource) -> Reader:
    """How lines of a source are read: the flat event, or None for a line about something else.

    What it returns raises InputError for a line that should be an event and is none.
    """
    if tail.pattern is not None:
        pattern = re.compile(tail.pattern)
        return lambda line: _from_pattern(line, pattern, tail)
    return lambda line: _from_json(line, tail)


def _from_pattern(line: Line, pattern: re.Pattern[str], tail: TailSource) -> Flat | None:
    found = pattern.match(_raw(line).decode("utf-8", "replace"))
    if found is None:
        return None
    return _mapped(line, found.groupdict(), tail)


def _from_json(line: Line, tail: TailSource) -> Flat | None:
    try:
        written = msgspec.json.decode(_raw(line))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InputError("the line is not JSON", code="bad_json") from None
    if not isinstance(written, dict):
        raise InputError("the line is not a JSON object", code="not_an_object")
    return _mapped(line, written, tail) if tail.fields else _named(line, written)


def _raw(line: Line) -> bytes:
    if line.raw is None:
        raise InputError("the line is too long", code="too_long")
    return line.raw


def _mapped(line: Line, written: Mapping[str, object], tail: TailSource) -> Flat | None:
    event: Flat = {}
    for field in tail.fields:
        value = _value(field, written)
        if value is _LEFT_OUT or value is None or value == "":
            continue
        if field.name == "amount":
            currency = event.get("currency", tail.currency)
            value = to_minor(value, decimals_of(currency if isinstance(currency, str) else None))
            if value is None:
                raise InputError("amount is no price", code="bad_field", pointer="/amount")
            event["amount_minor"] = value
        else:
            event[field.name] = _typed(field.name, value)
    if "type" not in event:
        return None  # a status that is no event
    return _named(line, event)


def _value(field: TailField, written: Mapping[str, object]) -> object:
    if field.constant is not None:
        return field.constant
    value: object = written
    for step in field.path:
        value = value.get(step) if isinstance(value, Mapping) else None
    if not field.values:
        return value
    return field.values.get(_text(value), field.default or _LEFT_OUT)


def _typed(name: str, value: object) -> object:
    """A value as a field of an event has it; what does not fit is refused where events are decoded."""
    if name in _COUNTS:
        text = _text(value)
        return int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else value
    if name == "promise_s":
        text = _text(value)
        return float(text) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text) else value
    if name == "time":
        return _time(value)
    return value if isinstance(value, dict | list) else _text(value)


def _time(value: object) -> object:
    """Unix seconds or milliseconds as a time with its zone; a text is read where events are decoded."""
    text = _text(value)
    if not re.fullmatch(r"[0-9]{9,13}(\.[0-9]{1,9})?", text):
        return value
    number = float(text)
    moment_s = number / SECOND_MS if number >= _MS_FROM else number
    return datetime.fromtimestamp(moment_s, UTC).isoformat(timespec="milliseconds")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _named(line: Line, event: Flat) -> Flat:
    """Without id and time an event is its place in the file, which reading it again does not change."""
    if not event.get("id") and not event.get("time"):
        event["id"] = f"line/{line.name}"
    return event
