"""Which unpaid orders a payment gateway is asked about, and when: a pure choice, with bounds.

A callback that was never sent is found only by asking (查单). An order is asked about from
`FIRST_MS` after its creation, spaced so that it is never more than two questions in a minute, and
no longer than its gateway allows. The youngest come first: most buyers pay within minutes.

    created, unpaid ─► waits ─► asked ─► asked again … ─► paid, closed or too old: forgotten
    a callback said paid ─► asked at once ─► denied ─► asked once more ─► denied: a case
                            and asked about as long as an unpaid one: the buyer may pay after all

Nothing of it is state of the engine: after a restart it is read from the orders anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import msgspec

from monitor.core.orders.order import Order
from monitor.model.faults import Fault
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

    __slots__ = ("asked_ms", "denials", "due_ms", "inquiry", "is_check", "is_denied", "since_ms")

    def __init__(self, since_ms: int, due_ms: int, inquiry: Inquiry, *, is_check: bool) -> None:
        self.since_ms = since_ms
        self.due_ms = due_ms
        self.inquiry = inquiry
        self.is_check = is_check  # a callback said paid already
        self.is_denied = False  # and was not believed: what is recorded as paid may not be
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
        self._numbers: dict[str, Inquiry] = {}
        self._settled: dict[tuple[str, str], None] = {}  # a gateway repeats its callbacks

    def go_on_from(self, before: Inquiries) -> None:
        """Take over what was heard under an earlier configuration; unpaid orders are found anew."""
        self._numbers, self._settled = before._numbers, before._settled
        for name, waiting in self._waiting.items():
            known = before._waiting.get(name, {})
            waiting |= {
                order_id: one for order_id, one in known.items() if one.is_check or one.is_denied
            }

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
                is_old = now_ms - one.since_ms > gateway.ask_for_ms
                if is_old or not _is_wanted(one, orders.get(order_id)):
                    del waiting[order_id]

    def told(self, name: str, inquiry: Inquiry) -> None:
        """A callback named the gateway's own number of an order."""
        known = self._numbers.get(inquiry.order_id)
        is_better = known is None or inquiry.is_signed or not known.is_signed
        if name in self._waiting and inquiry.trade_no and is_better:
            self._numbers[inquiry.order_id] = inquiry
            while len(self._numbers) > WAITING_MAX:
                del self._numbers[next(iter(self._numbers))]

    def check(self, name: str, inquiry: Inquiry, now_ms: int) -> None:
        """A callback said that an order is paid: hear what the gateway itself says, at once.

        One that was denied is asked about anyway.
        """
        waiting, order_id = self._waiting.get(name), inquiry.order_id
        if waiting is None or (name, order_id) in self._settled:
            return
        known = waiting.get(order_id)
        if known is None or not (known.is_check or known.is_denied):
            waiting[order_id] = _Waiting(now_ms, now_ms, inquiry, is_check=True)
            if known is not None:
                waiting[order_id].asked_ms = known.asked_ms
            _bound(waiting)

    def choose(self, name: str, now_ms: int, most: int) -> tuple[Inquiry, ...]:
        """The orders to ask about now: checks first, then the youngest; each is put off by that.

        Those that were denied come last: made-up claims must not keep buyers' orders waiting.
        """
        waiting = self._waiting[name]
        due = [
            (not one.is_check, one.is_denied, -one.since_ms, order_id)
            for order_id, one in waiting.items()
            if one.is_due(now_ms)
        ]
        chosen = [order_id for *_, order_id in sorted(due)[:most]]
        for order_id in chosen:
            waiting[order_id].put_off(now_ms)
        return tuple(self._inquiry(waiting[order_id].inquiry) for order_id in chosen)

    def is_evident(self, name: str, order_id: str) -> bool:
        """Whether a signed callback said paid already, so that the gateway's word is no news."""
        one = self._waiting[name].get(order_id)
        return one is not None and one.is_check and one.inquiry.is_signed

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

    def denial_told(self, name: str, order_id: str) -> None:
        """The denial is handed in; the order is asked about as an unpaid one, which it may be."""
        one = self._waiting[name].get(order_id)
        if one is not None:
            one.is_check, one.is_denied = False, True
            one.inquiry = Inquiry(order_id)  # the number in the claim is as little worth

    def waits(self, name: str) -> int:
        """How many orders of a gateway are asked about."""
        return len(self._waiting[name])

    def _inquiry(self, claimed: Inquiry) -> Inquiry:
        """With the number that a signature binds to the order, or with what was claimed of it."""
        known = self._numbers.get(claimed.order_id)
        is_better = known is not None and (known.is_signed or not claimed.trade_no)
        return known if known is not None and is_better else claimed

    def _consider(self, order: Order, now_ms: int) -> None:
        name, order_id = self._gateway_of(order), order.order_id
        if name is None or order_id in self._waiting[name] or (name, order_id) in self._settled:
            return
        if not _is_unpaid(order):
            return
        created_ms = order.facts.created_ms
        waiting, since_ms = self._waiting[name], now_ms if created_ms is None else created_ms
        if now_ms - since_ms > self._gateways[name].ask_for_ms:
            return
        inquiry = Inquiry(order_id)
        waiting[order_id] = _Waiting(since_ms, since_ms + FIRST_MS, inquiry, is_check=False)
        _bound(waiting)

    def _gateway_of(self, order: Order) -> str | None:
        """By the provider it names; one that names none belongs to the only gateway there is."""
        provider = order.facts.provider
        return self._only if provider is None else self._by_provider.get(provider)


def _is_unpaid(order: Order) -> bool:
    """Nobody heard of a payment, or the gateway denied the one that was claimed."""
    facts = order.facts
    if facts.done_ms is not None:
        return False
    is_denied = facts.paid_ms is not None and Fault.PAYMENT_DENIED in order.faults
    return facts.paid_ms is None or (is_denied and facts.created_ms is not None)


def _is_wanted(one: _Waiting, order: Order | None) -> bool:
    if one.is_check:
        return True
    if one.is_denied:
        return order is None or order.facts.done_ms is None
    return order is not None and _is_unpaid(order)


def _bound(waiting: dict[str, _Waiting]) -> None:
    """Beyond the limit the oldest go, and claims that were denied before all others."""
    if len(waiting) > WAITING_MAX:
        del waiting[
            min(waiting, key=lambda one: (not waiting[one].is_denied, waiting[one].since_ms))
        ]
