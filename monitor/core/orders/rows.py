"""The rows of paid orders, kept in step with the orders but written only when somebody looks.

An order changes several times between two looks of control, and a row is made of many small parts.
So a change only notes what a row will be made of; the next one before a look replaces it.
"""

from __future__ import annotations

import msgspec

from monitor.core.orders.facts import Facts
from monitor.core.orders.names import NameBook
from monitor.core.orders.order import Order
from monitor.core.orders.table import Codes, OrderTable, row_of
from monitor.core.orders.waits import Waits
from monitor.core.signals.observation import Observation
from monitor.model.ids import hash64


class _Change(msgspec.Struct, frozen=True, gc=False):
    facts: Facts
    breach_ms: int | None
    taken_ms: int | None
    codes: Codes
    is_held: bool
    is_unconfirmed: bool


class OrderRows:
    """One row per paid order; names get their codes in the order of the changes."""

    def __init__(self, names: NameBook) -> None:
        self.waits = Waits()
        self._names = names
        self._table = OrderTable()
        self._slots: dict[str, int] = {}
        self._changes: dict[str, _Change] = {}

    def change(self, order: Order, channel: str, *, is_held: bool, is_unconfirmed: bool) -> None:
        """Note what a paid order is now, and the channel that it is counted for."""
        self.waits.look(order)
        facts = order.facts
        codes = self._names.codes(channel, facts.source, facts.provider, facts.sku)
        taken_ms = None if order.case is None else order.taken_ms
        self._changes[order.order_id] = _Change(
            facts, order.breach_ms, taken_ms, codes, is_held, is_unconfirmed
        )

    def forget(self, order_id: str) -> None:
        """Take out the row of an order that left."""
        self.waits.forget(order_id)
        self._changes.pop(order_id, None)
        slot = self._slots.pop(order_id, None)
        if slot is not None:
            self._table.remove(slot)

    def observe(self) -> Observation:
        """Mergeable columns of all orders that signals look at."""
        for order_id, change in self._changes.items():
            slot = self._slots.get(order_id)
            row = row_of(
                change.facts,
                key=hash64(order_id) >> 1 if slot is None else self._table.key_of(slot),
                breach_ms=change.breach_ms,
                taken_ms=change.taken_ms,
                codes=change.codes,
                is_held=change.is_held,
                is_unconfirmed=change.is_unconfirmed,
            )
            self._slots[order_id] = self._table.put(slot, row)
        self._changes.clear()
        return self._table.observe(self._names.names())
