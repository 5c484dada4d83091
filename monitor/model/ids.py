"""Identifiers, and hashes that stay the same in every process (never Python's `hash()`)."""

from __future__ import annotations

import hashlib
from typing import NewType

OrderId = NewType("OrderId", str)
ChannelId = NewType("ChannelId", str)
SourceId = NewType("SourceId", str)
TakeoverId = NewType("TakeoverId", str)

OTHER = "other"  # where names go once their number has reached its limit
UNKNOWN = "unknown"  # what an order that names no provider or no goods is counted for
UNNAMED_CHANNEL = "external"  # contract §2: what an order without any channel is counted for
DEFAULT_SOURCE = SourceId("default")
CANARY_PREFIX = "canary-"  # ids of our own synthetic orders
CANARY_SOURCE = "canary"
ALL_ORDERS = "*"  # the one routing scope of this version: every order of the shop
WHOLE_SHOP = ("all", ALL_ORDERS)  # what all orders together are called: nobody's own name


def digest(*parts: str, size: int = 16) -> bytes:
    """Hash the parts with an unambiguous separator (BLAKE2b).

    Shapes: `size` bytes, at most 64.
    """
    hasher = hashlib.blake2b(digest_size=size)
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        hasher.update(len(raw).to_bytes(4, "big"))
        hasher.update(raw)
    return hasher.digest()


def hash64(*parts: str) -> int:
    """Hash the parts to an unsigned 64-bit integer."""
    return int.from_bytes(digest(*parts, size=8), "big")


def hash01(*parts: str) -> float:
    """Hash the parts to [0, 1): jitter and sampling without a generator, equal on every replay."""
    return (hash64(*parts) >> 11) / (1 << 53)


def derived_id(prefix: str, *parts: str) -> str:
    """Name something after its cause: the same cause gives the same id, so a repeat is visible."""
    return f"{prefix}_{digest(*parts, size=10).hex()}"
