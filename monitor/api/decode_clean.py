"""Events that do not decode straight: read with suspicion, then brought into the nested shape.

Here card secrets and unknown fields stay behind, duplicate keys are refused, and bombs end.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from monitor.api.decode_types import Json, Notes, printable
from monitor.api.decode_wire import ATTRIBUTES, ENVELOPE
from monitor.model.errors import InputError

DEPTH_MAX = 16

# Compared without case, `_` and `-`, anywhere in the name: `cardNo`, `client_secret`, `orderInfo`.
_SECRET_WORDS = ("orderinfo", "secret", "card", "carmi", "kami", "password")


def parse_object(raw: bytes, pointer: str = "") -> dict[str, Json]:
    """Read one JSON object; unlike `json.loads` without NaN, duplicate keys and stack overflow.

    Raises: InputError `bad_json`, `duplicate_key`, `too_deep`, `not_an_object`.
    """
    try:
        value = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError:
        raise InputError("the text is not UTF-8", code="bad_json", pointer=pointer) from None
    except json.JSONDecodeError as error:
        detail = f"malformed JSON: {error.msg.lower()} at character {error.pos}"
        raise InputError(detail, code="bad_json", pointer=pointer) from None
    except ValueError:  # an integer of thousands of digits
        raise InputError("a number is too long", code="bad_json", pointer=pointer) from None
    except RecursionError:
        raise _too_deep(pointer) from None
    except InputError as error:
        raise InputError(str(error), code=error.code, pointer=pointer) from None
    if not isinstance(value, dict):
        raise InputError("an event must be an object", code="not_an_object", pointer=pointer)
    return value


class Cleaned(NamedTuple):
    """The known fields in the shape of `Nested`, and the names that stood outside `data`.

    `goods` are fields that look like them, to be counted and named by digests but never kept.
    """

    nested: dict[str, Json]
    flat: tuple[str, ...]
    goods: list[Json]


def to_nested(event: Mapping[str, Json], notes: Notes) -> Cleaned:
    """Separate the known fields from all others.

    Null means absent. What `data` says wins over the same name beside it.

    Raises: InputError `too_deep`, or what is wrong with `data_base64`.
    """
    nested: dict[str, Json] = {}
    beside: dict[str, Json] = {}
    goods: list[Json] = []
    content = event.get("data")
    for name, value in event.items():
        if value is None or name == "data":
            continue
        if name in ENVELOPE:
            nested[name] = value
        elif name in ATTRIBUTES:
            beside[name] = value
        elif name == "data_base64" and content is None:
            content = _decode_base64(value)
        else:
            goods += _leave_out(name, value, notes)
    if content is not None and not isinstance(content, dict):
        return Cleaned(nested | {"data": content}, tuple(beside), goods)  # the shape check names it
    fields: dict[str, Json] = {}
    for name, value in (content or {}).items():
        if value is None:
            continue
        if name in ATTRIBUTES:
            fields[name] = value
        else:
            goods += _leave_out(name, value, notes)
    flat = ATTRIBUTES if content is None else tuple(n for n in beside if n not in fields)
    return Cleaned(nested | {"data": beside | fields}, flat, goods)


def is_secret_name(name: str) -> bool:
    """Whether a field's name suggests that it holds what the buyer bought, or a credential."""
    plain = name.lower().replace("_", "").replace("-", "")
    return any(word in plain for word in _SECRET_WORDS)


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        count = Counter(name for name, _ in pairs)
        twice = next(name for name in unique if count[name] > 1)
        raise InputError(f"the key '{printable(twice)}' stands twice", code="duplicate_key")
    return unique


def _refuse_constant(name: str) -> Json:
    raise InputError(f"{name} is not a JSON number", code="bad_json")


def _decode_base64(value: Json) -> Json:
    pointer = "/data_base64"
    if not isinstance(value, str):
        raise InputError("data_base64 must be a string", code="bad_field", pointer=pointer)
    try:
        raw = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise InputError("data_base64 is not base64", code="bad_field", pointer=pointer) from None
    return parse_object(raw, pointer)


def _leave_out(name: str, value: Json, notes: Notes) -> list[Json]:
    """Note the name of a dropped field, and of secrets inside it; gives it if it may be goods."""
    is_secret = is_secret_name(name)
    (notes.secrets if is_secret else notes.unknown)[name] += 1
    todo: list[tuple[Json, int]] = [(value, 1)]
    while todo:
        inner, depth = todo.pop()
        if isinstance(inner, dict):
            notes.secrets.update(key for key in inner if is_secret_name(key))
            inner = list(inner.values())
        if isinstance(inner, list):
            if depth > DEPTH_MAX:
                raise _too_deep()
            todo.extend((item, depth + 1) for item in inner)
    return [value] if is_secret and "password" not in name.lower() else []


def _too_deep(pointer: str = "") -> InputError:
    return InputError(f"nested deeper than {DEPTH_MAX} levels", code="too_deep", pointer=pointer)
