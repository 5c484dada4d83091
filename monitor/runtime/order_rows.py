"""Rows of orders: for the store (`core/orders/stored.py` says in which form), and for traces."""

from __future__ import annotations

import msgspec

from monitor.core.orders.order import Order
from monitor.core.orders.stored import read_order, write_order
from monitor.ports import OrderRow

_json_encoder = msgspec.json.Encoder()


def row_of(order: Order, dormant_ms: int | None = None) -> OrderRow:
    """The order as it is stored; `dormant_ms` closes one that nobody spoke of for long."""
    closed_ms = _done_ms(order)
    body = write_order(order)
    return OrderRow(order.order_id, dormant_ms if closed_ms is None else closed_ms, body)


def order_of(row: OrderRow) -> Order:
    """The order in a stored row."""
    return read_order(row.body)


def finished_row(order: Order) -> OrderRow:
    """The order as a TraceSink takes it, in JSON."""
    return OrderRow(order.order_id, _done_ms(order), _json_encoder.encode(order))


def _done_ms(order: Order) -> int | None:
    return order.facts.done_ms if order.facts.paid_ms is not None else order.facts.closed_ms
