"""Watches what the shop itself delivers: keys sold twice, no keys, money twice, goods without money.

It knows goods and payments only by keyed digests. The index of goods holds the orders in memory, so
a key that comes again after its first order has left memory is not recognised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from monitor.core.orders.order import Order
from monitor.model.events import EventType, OrderEvent
from monitor.model.faults import Fault, ShopFault
from monitor.model.settings import Settings

_GIVEN_UP = (EventType.CANCELLED, EventType.EXPIRED, EventType.FAILED)
_SAID_BY_REASON = (
    Fault.PAYMENT_DENIED, Fault.PAYMENT_WITHOUT_ORDER, Fault.CALLBACK_UNDELIVERED,
)  # fmt: skip
_PAYMENT_SAYINGS = ("paid", "expired")


class ShopWatch:
    """Which order had which goods first; faults are kept with their orders."""

    def __init__(self, settings: Callable[[], Settings], orders: Mapping[str, Order]) -> None:
        self._settings = settings
        self._orders = orders
        self._first: dict[str, str] = {}  # digest of a unit -> order

    def note(self, event: OrderEvent) -> None:
        """Remember whose goods these are; live and in recovery alike."""
        for unit in event.goods:
            self._first.setdefault(unit, event.order_id)

    def adopt(self, orders: Iterable[Order]) -> None:
        """Remember the goods of orders that come back into memory."""
        for order in orders:
            for event in order.timeline:
                self.note(event)

    def forget(self, order: Order) -> None:
        """An order leaves memory."""
        for event in order.timeline:
            for unit in event.goods:
                if self._first.get(unit) == order.order_id:
                    del self._first[unit]

    def look(self, event: OrderEvent, now_ms: int) -> list[ShopFault]:
        """What an event that was accepted shows to be wrong with its order, as far as untold."""
        order = self._orders.get(event.order_id)
        if order is None:
            return []  # a heartbeat is about no order
        found: list[ShopFault] = []
        other = next((one for one in map(self._first.get, event.goods) if one), event.order_id)
        if other != event.order_id and order.facts.sku not in self._shared_skus():
            found.append(ShopFault(order.order_id, Fault.DUPLICATE_KEY_SOLD, now_ms, other))
        if event.reason == Fault.WITHOUT_GOODS or (event.goods_units and _is_short(order)):
            found.append(ShopFault(order.order_id, Fault.WITHOUT_GOODS, now_ms))
        if event.payment is not None and _is_paid_twice(order):
            found.append(ShopFault(order.order_id, Fault.PAID_TWICE, now_ms))
        if _is_paid_late(order):
            found.append(ShopFault(order.order_id, Fault.PAID_LATE, now_ms))
        if event.reason in _SAID_BY_REASON:
            found.append(ShopFault(order.order_id, event.reason, now_ms))
        if event.type in _GIVEN_UP:
            found += self.unpaid(order, now_ms)
        return [one for one in found if one.fault not in order.faults]

    def unpaid(self, order: Order, now_ms: int) -> list[ShopFault]:
        """The order went to a supplier although nobody ever said that it was paid."""
        facts = order.facts
        is_bought = facts.is_paid_inferred and facts.attempted_ms is not None
        if not is_bought or Fault.BOUGHT_BUT_UNPAID in order.faults:
            return []
        return [ShopFault(order.order_id, Fault.BOUGHT_BUT_UNPAID, now_ms)]

    def apply(self, found: ShopFault) -> None:
        """Keep a fault with its order; live and in recovery alike."""
        order = self._orders[found.order_id]
        if found.fault not in order.faults:
            order.faults = (*order.faults, found.fault)

    def _shared_skus(self) -> frozenset[str]:
        return frozenset(
            sku for channel in self._settings().channels for sku in channel.shared_skus
        )


def speaks(event: OrderEvent) -> bool:
    """Whether an event can show a fault of its order; nearly none can, and a heartbeat has none."""
    is_telling = event.goods or event.payment or event.reason or event.meaning in _PAYMENT_SAYINGS
    return bool(is_telling and event.order_id)


def _is_short(order: Order) -> bool:
    """Fewer units were counted in all deliveries together than were ordered."""
    units = sum(event.goods_units for event in order.timeline)
    return units < (order.facts.quantity or 1)


def _is_paid_late(order: Order) -> bool:
    """Paid after it had expired, and nobody delivered it since: dujiaoka would, others keep the money."""
    facts = order.facts
    if facts.paid_ms is None or facts.is_paid_inferred or facts.delivered_ms is not None:
        return False
    return any(
        event.time_ms < facts.paid_ms
        and (event.meaning == "expired" or event.type in (EventType.CANCELLED, EventType.EXPIRED))
        for event in order.timeline
    )


def _is_paid_twice(order: Order) -> bool:
    payments = {
        event.payment
        for event in order.timeline
        if event.payment is not None and (event.type == EventType.PAID or event.meaning == "paid")
    }
    return len(payments) > 1
