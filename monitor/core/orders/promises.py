"""The promise of an order: chosen when it is paid, and not moved by later settings.

While the facts that choose it stay the same, the promise stays what it was. Other facts (a payment
that names the SKU only later) choose anew, from the settings of that moment.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from monitor.core.orders.extend import extend
from monitor.core.orders.facts import Facts, derive, promise_basis
from monitor.core.orders.news import News
from monitor.core.orders.order import Order
from monitor.model.events import OrderEvent
from monitor.model.settings import PromiseTable


class _Given(msgspec.Struct, frozen=True, gc=False):
    basis: tuple[Any, ...]
    promise_ms: int


class Promises:
    """Derives facts with the promise that was given; after a restart also that of folded orders."""

    def __init__(self) -> None:
        self._recalled: dict[str, _Given] = {}

    def recall(self, orders: Iterable[Order]) -> None:
        """Hold on to the promises of stored orders whose events are about to be folded again."""
        for order in orders:
            if order.facts.paid_ms is not None:
                self._recalled[order.order_id] = _given(order)

    def forget(self) -> None:
        """The events of the stored orders are folded: memory has their promises from now on."""
        self._recalled.clear()

    def facts_of(self, order: Order, news: News, table: PromiseTable) -> Facts:
        """Facts of an order after its news, our own hand-over included."""
        if news.is_later:
            extended = self.extend(order, news.timeline[news.known :], table)
            if extended is not None:
                return extended
        return order.with_hand_over(self.derive(order, news.timeline, table))

    def extend(self, order: Order, news: Iterable[OrderEvent], table: PromiseTable) -> Facts | None:
        """Facts of an order after events that came behind all others; None: `derive` them."""
        if order.handed_over_ms is not None or order.order_id in self._recalled:
            return None
        facts: Facts | None = order.facts
        for event in news:
            if facts is None:
                break
            facts = extend(facts, event, table)
        return facts

    def derive(self, order: Order, timeline: tuple[OrderEvent, ...], table: PromiseTable) -> Facts:
        """Facts of a timeline that follows on the order's; `table` is that of today."""
        facts = derive(timeline, table)
        recalled = self._recalled.get(order.order_id)
        is_moved = order.facts.paid_ms is not None and order.facts.promise_ms != facts.promise_ms
        if recalled is None and not is_moved:  # nearly always: spare the look at all events
            return facts
        basis = promise_basis(timeline)
        for given in (recalled, _given(order) if is_moved else None):
            if given is not None and given.basis == basis:
                return msgspec.structs.replace(facts, promise_ms=given.promise_ms)
        return facts


def _given(order: Order) -> _Given:
    return _Given(promise_basis(order.timeline), order.facts.promise_ms)
