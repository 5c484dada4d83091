"""Lists in pages: `?limit&cursor` in, `next` in the body.

A cursor holds a place, not a number of items to skip, where a list has places that stay (orders,
takeovers). Short lists that are ranked anew at every look (alerts, channels) count items instead.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from monitor.api.query import whole_number, wrong

LIMIT_DEFAULT = 100
LIMIT_MAX = 1_000
CURSOR_MAX = 2_000  # an order id of 128 characters, escaped and encoded, fits

T = TypeVar("T")
Place = tuple[int, str]

_DECODER: msgspec.json.Decoder[Place] = msgspec.json.Decoder(Place)


def limit_of(request: web.Request) -> int:
    """Return how many items a page may have; raises InputError."""
    return whole_number(request, "limit", default=LIMIT_DEFAULT, low=1, high=LIMIT_MAX)


def place_of(request: web.Request) -> Place | None:
    """Return the place behind which the page starts; None for the first page.

    Raises: InputError for what we did not give out.
    """
    cursor = request.query.get("cursor") or None
    if cursor is None:
        return None
    padded = cursor[:CURSOR_MAX] + "=" * (-len(cursor) % 4)
    try:
        return _DECODER.decode(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise wrong("cursor", "must be the `next` of an earlier answer") from None


def cursor_of(place: Place | None) -> str | None:
    """Return the cursor of a place; None stays None."""
    if place is None:
        return None
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).rstrip(b"=").decode("ascii")


def page(request: web.Request, name: str, items: Sequence[T]) -> dict[str, Any]:
    """Cut a short list by number: `{name: [...], "next": cursor or null}`.

    Raises: InputError.
    """
    limit, place = limit_of(request), place_of(request)
    start = 0 if place is None else max(0, place[0])
    end = start + limit
    following = (end, "") if end < len(items) else None
    return {name: items[start:end], "next": cursor_of(following)}
