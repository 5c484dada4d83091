"""Reading JSON that a peer answered: either it is what we expect, or it is nothing."""

from __future__ import annotations

from typing import TypeVar

import msgspec

_T = TypeVar("_T")


def read_json(body: bytes, kind: type[_T]) -> _T | None:
    """Decode a body as a type, strictly; None for anything else, however hostile.

    Deep nesting raises RecursionError in msgspec, bytes that are no UTF-8 UnicodeDecodeError.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
