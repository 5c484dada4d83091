"""How an order is stored in its row: half the bytes of JSON, and to be read by every later release.

    [ timeline: one array per event, its fields in the order of `OrderEvent` ;  the order without it ]

Names of fields would be half of what is written: an order has half a dozen events, and its row is
the largest thing that an order costs the disk. So `OrderEvent` grows at its end only. Rows of
earlier releases are JSON and are read as such.
"""

from __future__ import annotations

from typing import Any

import msgspec

from monitor.core.orders.order import Order
from monitor.model.events import OrderEvent
from monitor.ports import OrderRow

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[tuple[tuple[Any, ...], ...], Order])
_json_encoder = msgspec.json.Encoder()
_json_decoder = msgspec.json.Decoder(Order)
_fields_of = msgspec.structs.astuple


def row_of(order: Order, dormant_ms: int | None = None) -> OrderRow:
    """The order as it is stored; `dormant_ms` closes one that nobody spoke of for long."""
    closed_ms = _done_ms(order)
    return OrderRow(order.order_id, dormant_ms if closed_ms is None else closed_ms, body_of(order))


def body_of(order: Order) -> bytes:
    """What a row holds of an order."""
    timeline = [_fields_of(event) for event in order.timeline]
    return _encoder.encode((timeline, msgspec.structs.replace(order, timeline=())))


def order_of(row: OrderRow) -> Order:
    """The order in a stored row."""
    if row.body.startswith(b"{"):
        return _json_decoder.decode(row.body)
    timeline, order = _decoder.decode(row.body)
    order.timeline = tuple([OrderEvent(*fields) for fields in timeline])
    return order


def finished_row(order: Order) -> OrderRow:
    """The order as a TraceSink takes it, in JSON."""
    return OrderRow(order.order_id, _done_ms(order), _json_encoder.encode(order))


def _done_ms(order: Order) -> int | None:
    return order.facts.done_ms if order.facts.paid_ms is not None else order.facts.closed_ms
