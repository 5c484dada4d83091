"""Reading JSON that a peer answered: either it is what we expect, or it is nothing."""

from __future__ import annotations

import json
from typing import Any, TypeVar

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


def says_twice(body: bytes) -> bool:
    """Whether an object of a JSON body has a name twice: two readers may then read two things."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) < len(pairs):
            raise ValueError("a name stands twice")
        return dict(pairs)

    try:
        json.loads(body, object_pairs_hook=once)
    except (ValueError, RecursionError):
        return True
    return False
