"""Orders of which something that is usual has not been heard, as far as they themselves can tell.

    unattempted    paid, and nobody has tried to deliver
    unbooked       a gateway says paid, and the shop shows nothing of it

Both follow from the orders in memory; whether it is usual is what their source's habits say.
"""

from __future__ import annotations

import msgspec

from monitor.core.orders.habits import BOOKINGS
from monitor.core.orders.order import Order
from monitor.model.events import EventType, OrderEvent

_CREATED, _PAID = EventType.CREATED.value, EventType.PAID.value
_CALLBACK, _ATTEMPT_FAILED = EventType.CALLBACK.value, EventType.ATTEMPT_FAILED.value
_CLOSED = (EventType.EXPIRED.value, EventType.CANCELLED.value)


class Wait(msgspec.Struct, frozen=True, gc=False):
    """Since when an order waits for a word of its shop; `is_closed`: it said no."""

    source: str
    since_ms: int
    is_closed: bool = False


class Waits:
    """What orders wait for, by order id."""

    def __init__(self) -> None:
        self.unattempted: dict[str, Wait] = {}
        self.unbooked: dict[str, Wait] = {}

    def look(self, order: Order) -> None:
        """Something of a paid order changed."""
        unbooked = _unbooked(order.timeline)
        _keep(self.unbooked, order.order_id, unbooked)
        # Nobody tries to deliver what he does not know to be paid.
        _keep(self.unattempted, order.order_id, None if unbooked else _unattempted(order))

    def step(self, order: Order) -> None:
        """Something was said of an order that changes nothing else."""
        if order.order_id in self.unattempted or order.order_id in self.unbooked:
            self.look(order)

    def forget(self, order_id: str) -> None:
        """An order left, or is not paid after all."""
        self.unattempted.pop(order_id, None)
        self.unbooked.pop(order_id, None)


def _keep(waiting: dict[str, Wait], order_id: str, found: Wait | None) -> None:
    if found is None:
        waiting.pop(order_id, None)
    else:
        waiting[order_id] = found


def _unattempted(order: Order) -> Wait | None:
    facts = order.facts
    if facts.paid_ms is None or facts.attempted_ms is not None or facts.done_ms is not None:
        return None
    is_ours = order.hold_until_ms or order.case is not None  # a backlog, or in our hands
    if is_ours or facts.is_paid_inferred or facts.fulfilment == "manual":
        return None
    for event in order.timeline:
        if event.type == _ATTEMPT_FAILED:
            return None
    return Wait(facts.source, facts.paid_ms)


def _unbooked(timeline: tuple[OrderEvent, ...]) -> Wait | None:
    """The payment that another than the shop told of; None if there is none, or the shop knows."""
    shop, since_ms, is_closed, is_refused = "", None, False, False
    for event in timeline:
        kind = event.type
        is_told = (kind == _CALLBACK and event.meaning == "paid") or (
            kind == _PAID and shop not in ("", event.source)
        )
        if is_told:
            since_ms = event.received_ms if since_ms is None else since_ms
            is_refused = event.outcome == "rejected"
        elif kind in BOOKINGS:
            return None
        elif kind == _CREATED or kind in _CLOSED:
            shop = shop or event.source
            is_closed = is_closed or kind != _CREATED
    if not shop or since_ms is None:
        return None
    return Wait(shop, since_ms, is_closed or is_refused)
