"""Orders for telemetry tests, folded from events by the shard itself."""

from __future__ import annotations

from typing import Any

import msgspec

from monitor.core.orders.order import Order
from monitor.core.orders.shard import Shard
from monitor.model.events import EventType, OrderEvent
from monitor.model.settings import Settings
from monitor.ports import OrderRow

T0 = 1_767_578_400_000  # 2026-01-05T02:00:00Z
S = 1_000


def event(kind: EventType, at_s: float, order_id: str = "A1", **more: Any) -> OrderEvent:
    """An event `at_s` seconds after T0, received at once."""
    at_ms = T0 + round(at_s * S)
    event_id = more.pop("event_id", f"{kind.value}-{at_s}")
    return OrderEvent(
        type=kind.value,
        order_id=order_id,
        source=more.pop("source", "shop"),
        event_id=event_id,
        time_ms=at_ms,
        received_ms=at_ms,
        **more,
    )


def folded(*events: OrderEvent) -> Order:
    """The order that these events make, in their order of arrival, judged at the last of them."""
    shard = Shard(Settings())
    for one in events:
        shard.fold(one)
    shard.settle()
    shard.judge(max(one.time_ms for one in events) + 1)
    return shard.orders[events[0].order_id]


def row(order: Order) -> OrderRow:
    """The row that the store keeps of it."""
    return OrderRow(order.order_id, order.facts.done_ms, msgspec.json.encode(order))


def delivered(order_id: str = "A1", *, after_s: float = 20) -> Order:
    """Paid at T0 and delivered on channel auto."""
    return folded(
        event(EventType.PAID, 0, order_id, channel="auto", sku="gift-10"),
        event(EventType.DELIVERED, after_s, order_id),
    )
