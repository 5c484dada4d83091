"""An order at rest: its events as one string of bytes, a fifth of what they take as objects.

An order of which nothing was said for a while is mostly its events, each of a dozen objects. This
is a form of memory only; what is stored and logged stays readable.
"""

from __future__ import annotations

from collections.abc import Sequence
from sys import intern
from typing import Any

import msgspec

from monitor.core.orders.facts import Facts
from monitor.model.events import LIFECYCLE_RANK, EventType, OrderEvent

# Texts that many orders say.
_SHARED = (
    "source", "channel", "sold_on", "sku", "currency", "provider", "customer_tier", "speed",
    "fulfilment", "region",
)  # fmt: skip
_KINDS = [kind.value for kind in EventType]
_GOODS = OrderEvent.__struct_fields__.index("goods") - 1  # its place in what is packed
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[list[Any]])
_values_of = msgspec.structs.astuple


def pack(timeline: Sequence[OrderEvent]) -> bytes:
    """The events of one order as bytes that `unpack` understands, in this process."""
    rows = []
    for event in timeline:
        kind, _, *rest = _values_of(event)
        rows.append((LIFECYCLE_RANK[kind], *rest))
    return _encoder.encode(rows)


def unpack(order_id: str, packed: bytes) -> tuple[OrderEvent, ...]:
    """The events that were packed, of the order with this id."""
    events = []
    for row in _decoder.decode(packed):
        row[_GOODS] = tuple(row[_GOODS])
        rank, *rest = row
        events.append(OrderEvent(_KINDS[rank], order_id, *rest))
    return tuple(events)


def share_texts(facts: Facts) -> None:
    """Have what many orders say as one object each, whatever their events were decoded to."""
    for name in _SHARED:
        text = getattr(facts, name)
        if text is not None:
            msgspec.structs.force_setattr(facts, name, intern(text))
