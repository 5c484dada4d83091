"""Cutting a text so that the message around it fits a receiver's size limit."""

from __future__ import annotations

from collections.abc import Callable

ELLIPSIS = "…"


def fit(text: str, write: Callable[[str], bytes], bytes_max: int) -> bytes:
    """Write the message with as much of the text as fits, marked with `…` where it was cut.

    `write` encodes a whole message; how much JSON adds for a line break is measured, not
    guessed. A message too long without any text keeps none of it.
    """
    body = write(text)
    if len(body) <= bytes_max:
        return body
    raw = text.encode()[:bytes_max]
    fits, too_long = 0, len(raw) + 1
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if len(write(_cut(raw, middle))) <= bytes_max:
            fits = middle
        else:
            too_long = middle
    return write(_cut(raw, fits))


def _cut(raw: bytes, size: int) -> str:
    """Keep whole characters of the first `size` bytes."""
    return raw[:size].decode(errors="ignore") + ELLIPSIS
