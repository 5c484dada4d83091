"""Which unpaid orders a payment gateway is asked about, and when: a pure choice, with bounds.

A callback that was never sent is found only by asking (查单). An order is asked about from
`FIRST_MS` after its creation, spaced so that it is never more than two questions in a minute, and
no longer than its gateway allows. The youngest come first: most buyers pay within minutes.

    created, unpaid ─► waits ─► asked ─► asked again … ─► paid, closed or too old: forgotten
    a callback said paid ─► asked at once ─► denied ─► asked once more ─► denied: a case

Nothing of it is state of the engine: after a restart it is read from the orders anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import msgspec

from monitor.core.orders.order import Order
from monitor.model.gateways import Inquiry
from monitor.model.times import MINUTE_MS, SECOND_MS

FIRST_MS = 15 * SECOND_MS
SPACING_MS = 40 * SECOND_MS
LATER_MS, LATER_SPACING_MS = 10 * MINUTE_MS, 60 * SECOND_MS
DENIED_SPACING_MS = 30 * SECOND_MS  # a gateway may know a payment a moment later than its callback
DENIALS = 2  # so many denials, one after the other, are its word
WAITING_MAX = 5_000  # orders of one gateway; beyond it the oldest are no longer asked about
LOOKED_MAX = 5_000  # orders gone through in one look


class AskedGateway(msgspec.Struct, frozen=True):
    """A gateway that can be asked; `providers` are the names its orders use."""

    name: str
    providers: tuple[str, ...]
    ask_for_ms: int


class _Waiting:
    """One order that is asked about."""

    __slots__ = ("asked_ms", "denials", "due_ms", "is_check", "since_ms", "trade_no")

    def __init__(self, since_ms: int, due_ms: int, trade_no: str, *, is_check: bool) -> None:
        self.since_ms = since_ms
        self.due_ms = due_ms
        self.trade_no = trade_no
        self.is_check = is_check  # a callback said paid already
        self.denials = 0
        self.asked_ms = (-MINUTE_MS, -MINUTE_MS)  # the last two questions

    def is_due(self, now_ms: int) -> bool:
        """Whether it may be asked about: a minute after the last question but one at the earliest."""
        return self.due_ms <= now_ms and now_ms - self.asked_ms[0] >= MINUTE_MS

    def put_off(self, now_ms: int) -> None:
        """It is asked about now."""
        is_later = now_ms - self.since_ms > LATER_MS
        spacing_ms = LATER_SPACING_MS if is_later else SPACING_MS
        self.due_ms = now_ms + (DENIED_SPACING_MS if self.is_check else spacing_ms)
        self.asked_ms = (self.asked_ms[1], now_ms)


class Inquiries:
    """The orders that wait for the word of a gateway, by gateway."""

    def __init__(self, gateways: Sequence[AskedGateway]) -> None:
        self._gateways = {one.name: one for one in gateways}
        self._by_provider = {name: one.name for one in gateways for name in one.providers}
        self._only = gateways[0].name if len(gateways) == 1 else None
        self._waiting: dict[str, dict[str, _Waiting]] = {one.name: {} for one in gateways}
        self._trade_nos: dict[str, str] = {}
        self._settled: dict[tuple[str, str], None] = {}  # a gateway repeats its callbacks

    def go_on_from(self, before: Inquiries) -> None:
        """Take over what was heard under an earlier configuration; unpaid orders are found anew."""
        self._trade_nos, self._settled = before._trade_nos, before._settled
        for name, waiting in self._waiting.items():
            known = before._waiting.get(name, {})
            waiting |= {order_id: one for order_id, one in known.items() if one.is_check}

    def look(self, orders: dict[str, Order], now_ms: int) -> None:
        """Take in the youngest orders, and forget those that need no asking.

        `orders` in the order in which they were first heard of; what is told of one may come later,
        so each is looked at again while it is among the youngest.
        """
        for order in islice(reversed(orders.values()), LOOKED_MAX):
            self._consider(order, now_ms)
        for name, waiting in self._waiting.items():
            gateway = self._gateways[name]
            for order_id, one in list(waiting.items()):
                known = orders.get(order_id)
                is_old = now_ms - one.since_ms > gateway.ask_for_ms
                if is_old or (not one.is_check and (known is None or not _is_unpaid(known))):
                    del waiting[order_id]

    def told(self, name: str, inquiry: Inquiry) -> None:
        """A callback named the gateway's own number of an order."""
        if name in self._waiting and inquiry.trade_no:
            self._trade_nos[inquiry.order_id] = inquiry.trade_no
            while len(self._trade_nos) > WAITING_MAX:
                del self._trade_nos[next(iter(self._trade_nos))]

    def check(self, name: str, inquiry: Inquiry, now_ms: int) -> None:
        """A callback said that an order is paid: hear what the gateway itself says, at once."""
        waiting, order_id = self._waiting.get(name), inquiry.order_id
        if waiting is None or (name, order_id) in self._settled:
            return
        known = waiting.get(order_id)
        if known is None or not known.is_check:
            waiting[order_id] = _Waiting(now_ms, now_ms, inquiry.trade_no, is_check=True)
            if known is not None:
                waiting[order_id].asked_ms = known.asked_ms

    def choose(self, name: str, now_ms: int, most: int) -> tuple[Inquiry, ...]:
        """The orders to ask about now: checks first, then the youngest; each is put off by that."""
        waiting = self._waiting[name]
        due = [
            (not one.is_check, -one.since_ms, order_id)
            for order_id, one in waiting.items()
            if one.is_due(now_ms)
        ]
        chosen = [order_id for _, _, order_id in sorted(due)[:most]]
        for order_id in chosen:
            waiting[order_id].put_off(now_ms)
        return tuple(
            Inquiry(order_id, waiting[order_id].trade_no or self._trade_nos.get(order_id, ""))
            for order_id in chosen
        )

    def is_check(self, name: str, order_id: str) -> bool:
        """Whether a callback said paid already, so that the gateway's word is no news."""
        one = self._waiting[name].get(order_id)
        return one is not None and one.is_check

    def settled(self, name: str, order_id: str) -> None:
        """What the gateway says is known and handed in: no more questions."""
        self._waiting[name].pop(order_id, None)
        self._settled[name, order_id] = None
        while len(self._settled) > WAITING_MAX:
            del self._settled[next(iter(self._settled))]

    def denied(self, name: str, order_id: str) -> bool:
        """The gateway says not paid; whether that is its word now against a callback's claim."""
        one = self._waiting[name].get(order_id)
        if one is None or not one.is_check:
            return False
        one.denials += 1
        return one.denials >= DENIALS

    def waits(self, name: str) -> int:
        """How many orders of a gateway are asked about."""
        return len(self._waiting[name])

    def _consider(self, order: Order, now_ms: int) -> None:
        name = self._gateway_of(order)
        if name is None or not _is_unpaid(order):
            return
        created_ms = order.facts.created_ms
        waiting, since_ms = self._waiting[name], now_ms if created_ms is None else created_ms
        if order.order_id in waiting or now_ms - since_ms > self._gateways[name].ask_for_ms:
            return
        waiting[order.order_id] = _Waiting(since_ms, since_ms + FIRST_MS, "", is_check=False)
        if len(waiting) > WAITING_MAX:
            del waiting[min(waiting, key=lambda one: waiting[one].since_ms)]

    def _gateway_of(self, order: Order) -> str | None:
        """By the provider it names; one that names none belongs to the only gateway there is."""
        provider = order.facts.provider
        return self._only if provider is None else self._by_provider.get(provider)


def _is_unpaid(order: Order) -> bool:
    return order.facts.paid_ms is None and order.facts.done_ms is None
