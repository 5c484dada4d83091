"""JSON in and out: strict about what is sent to us, one way of answering."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from monitor.api.body import read_body
from monitor.api.decode_types import printable
from monitor.api.edge import EDGE
from monitor.model.errors import InputError
from monitor.model.spelling import did_you_mean

T = TypeVar("T", bound=msgspec.Struct)

_PLACE = re.compile(r" - at `(?:key in )?\$([^`]*)`$")
_UNKNOWN_FIELD = re.compile(r"^Object contains unknown field `(.*)`$", re.DOTALL)
_MISSING_FIELD = re.compile(r"^Object missing required field `(.*)`$")


async def read_json(request: web.Request, kind: type[T]) -> T:
    """Read the body as one object; an empty body stands for `{}`.

    An unknown field is an error: a misspelt `dry_run` must not switch anything.

    Raises: InputError with a pointer to the culprit.
    """
    raw = await read_body(request, request.app[EDGE].limits)
    try:
        return msgspec.json.decode(raw.strip() or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise _explain(error, kind) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InputError("the body is not JSON", code="bad_json") from None


def answer(
    value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Answer with a value as JSON."""
    return web.Response(
        status=status,
        headers=headers,
        body=msgspec.json.encode(value),
        content_type="application/json",
    )


def _explain(error: msgspec.ValidationError, kind: type[msgspec.Struct]) -> InputError:
    message = str(error)
    place = _PLACE.search(message)
    pointer = ""
    if place is not None:
        message = message[: place.start()]
        pointer = re.sub(r"\[\.\.\.\]", "", place[1]).replace(".", "/")
    if (unknown := _UNKNOWN_FIELD.match(message)) is not None:
        name = printable(unknown[1])
        hint = did_you_mean(name, kind.__struct_fields__)
        return InputError(
            f"there is no field '{name}'",
            code="unknown_field",
            hint=hint,
            pointer=f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}",
        )
    if (missing := _MISSING_FIELD.match(message)) is not None:
        pointer = f"{pointer}/{missing[1]}"
        return InputError(f"{missing[1]} is missing", code="missing_field", pointer=pointer)
    if message.startswith("Invalid enum value"):
        message = _choices(kind, pointer)
    return InputError(f"{pointer or 'the body'}: {message}", code="bad_field", pointer=pointer)


def _choices(kind: type[msgspec.Struct], pointer: str) -> str:
    """Say what a field may be; msgspec only repeats what it was."""
    described = msgspec.inspect.type_info(kind)
    assert isinstance(described, msgspec.inspect.StructType), "a body is always a struct"
    for field in described.fields:
        allowed = field.type
        is_this = f"/{field.encode_name}" == pointer
        if is_this and isinstance(allowed, msgspec.inspect.LiteralType):
            return f"expected one of {', '.join(str(value) for value in allowed.values)}"
    return "not one of the allowed values"
