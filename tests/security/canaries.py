"""Secrets to look for: random, unlike anything else, and found in whatever form they come out."""

from __future__ import annotations

import base64
import gzip
import random
import zlib
from collections.abc import Iterator, Mapping
from urllib.parse import quote

SEED = 20260105


def canaries(names: tuple[str, ...], seed: int = SEED) -> dict[str, str]:
    """One text of 24 letters and digits per name."""
    chance = random.Random(seed)
    letters = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
    return {name: "".join(chance.choices(letters, k=24)) for name in names}


def found_in(content: bytes, secrets: Mapping[str, str]) -> Iterator[str]:
    """Yield the names of secrets that stand in some bytes, plain or in a usual encoding."""
    parts = [content, *_unpacked(content)]
    for name, secret in secrets.items():
        if any(form in part for form in _forms(secret) for part in parts):
            yield name


def _forms(secret: str) -> tuple[bytes, ...]:
    """The text itself, reversed, in hex, and in base64 at each of three places of a longer text."""
    raw = secret.encode()
    inner = tuple(
        base64.b64encode(b"\0" * shift + raw).rstrip(b"=")[4 if shift else 0 : -2]
        for shift in range(3)
    )
    return (raw, raw[::-1], raw.hex().encode(), quote(secret).encode(), *inner)


def _unpacked(content: bytes) -> Iterator[bytes]:
    if content[:2] == b"\x1f\x8b":
        yield gzip.decompress(content)
    elif content[:1] == b"\x78":
        try:
            yield zlib.decompress(content)
        except zlib.error:
            return
