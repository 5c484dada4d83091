"""Orders written down for charts, and the observation at an instant when part of them is known."""

from __future__ import annotations

from typing import Any, NamedTuple

from monitor.core.orders.facts import Facts
from monitor.core.orders.table import OrderTable, row_of
from monitor.core.signals.observation import Names, Observation

T0 = 1_767_571_200_000  # Monday 2026-01-05 00:00 UTC
NAMES = Names(channel=("a", "b"), source=("s",), provider=("p",), sku=("k",))


class Order(NamedTuple):
    """Times in ms after T0; `known` is when the news of the end came (None: at once)."""

    paid: int
    end: int | None = None
    channel: int = 0
    kind: str = "delivered"
    known: int | None = None
    taken: int | None = None
    promise: int = 180_000
    is_held: bool = False
    is_unconfirmed: bool = False


def seen_at(orders: list[Order], now: int) -> Observation:
    """What the monitor knows `now` ms after T0."""
    table = OrderTable()
    for key, order in enumerate(orders):
        if order.paid > now:
            continue
        ends: dict[str, Any] = {}
        if order.end is not None and now >= (order.end if order.known is None else order.known):
            ends[f"{order.kind}_ms"] = T0 + order.end
        facts = Facts(paid_ms=T0 + order.paid, promise_ms=order.promise, **ends)
        is_late = order.paid + order.promise < min(now, order.end or now)
        table.put(None, row_of(
            facts, key=key, codes=(order.channel, 0, 0, 0),
            breach_ms=T0 + order.paid + order.promise if is_late else None,
            taken_ms=None if order.taken is None or order.taken > now else T0 + order.taken,
            is_held=order.is_held, is_unconfirmed=order.is_unconfirmed))  # fmt: skip
    return table.observe(NAMES)
