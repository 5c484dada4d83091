"""An order as bytes: half of what JSON takes, and to be read by every later release.

    [ timeline: one array per event, its fields in the order of `OrderEvent` ;  the order without it ]

Names of fields would be half of what is written: an order has half a dozen events, and its row is
the largest thing that an order costs the disk. So `OrderEvent` grows at its end only. Rows of
earlier releases are JSON and are read as such.
"""

from __future__ import annotations

import msgspec

from monitor.core.orders.order import Order
from monitor.model.events import OrderEvent

_Placed = msgspec.defstruct(
    "_Placed",
    [
        (field.name, field.type) if field.required else (field.name, field.type, field.default)
        for field in msgspec.structs.fields(OrderEvent)
    ],
    array_like=True,
)
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[tuple[tuple[msgspec.Struct, ...], Order]]
_decoder = msgspec.msgpack.Decoder(tuple[tuple[_Placed, ...], Order])  # type: ignore[valid-type]  # made above
_json_decoder = msgspec.json.Decoder(Order)
_fields_of = msgspec.structs.astuple


def write_order(order: Order) -> bytes:
    """What a row holds of an order."""
    timeline = [_fields_of(event) for event in order.timeline]
    return _encoder.encode((timeline, msgspec.structs.replace(order, events=(), packed=b"")))


def read_order(body: bytes) -> Order:
    """The order that a row holds."""
    if body.startswith(b"{"):
        return _json_decoder.decode(body)
    timeline, order = _decoder.decode(body)
    order.timeline = tuple([OrderEvent(*_fields_of(event)) for event in timeline])
    return order
