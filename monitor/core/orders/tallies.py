"""What control learns from, counted order by order: integers that add up over shards.

    arrivals   an order is heard of for the first time
    callbacks  it is created, and paid
    budgets    it is judged, and judged anew when news change the verdict
    paces      a prompt order is done
    stock      the local pool is counted
    gauges     something was measured outside

Our own synthetic orders say nothing about customers: they have a pace and a verdict, but no arrival
and no payment.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter

import msgspec

from monitor.core.orders.facts import Facts
from monitor.core.orders.names import NameBook
from monitor.core.orders.order import Order
from monitor.core.signals.arrival_counts import ArrivalCounter, CountsSnapshot
from monitor.core.signals.callback_counts import CallbackCounter, CallbackCountsSnapshot
from monitor.core.signals.gauges import Gauge, Gauges
from monitor.core.signals.ledger import is_prompt
from monitor.core.signals.paces import PaceRow, Paces
from monitor.core.signals.slo import BudgetState, Fault, SloBook
from monitor.model.baselines import Baseline
from monitor.model.ids import CANARY_PREFIX

# Of its facts, what is counted of an order's payment.
_paid_by = attrgetter("created_ms", "paid_ms", "is_paid_inferred", "provider")
_Payment = tuple[str, int, int | None]  # provider, when created, when confirmed

_FAULTLESS = Fault()


class TalliesSnapshot(msgspec.Struct, frozen=True):
    """All tallies as plain data in a fixed order."""

    arrivals: CountsSnapshot = CountsSnapshot()
    callbacks: CallbackCountsSnapshot = CallbackCountsSnapshot()
    budgets: BudgetState = BudgetState()
    paces: list[PaceRow] = []
    stock: dict[str, int] = {}
    has_canaries: bool = False
    gauges: list[Gauge] = []


class Judged(msgspec.Struct, frozen=True):
    """The verdict of an order as the book of budgets counts it."""

    channel: str
    judged_ms: int
    fault: Fault


class Tallies:
    """All counters of one shard."""

    def __init__(self, snapshot: TalliesSnapshot | None = None) -> None:
        held = snapshot or TalliesSnapshot()
        self.arrivals = ArrivalCounter.restore(held.arrivals)
        self.callbacks = CallbackCounter.restore(held.callbacks)
        self.budgets = SloBook()
        self.budgets.absorb(held.budgets)
        self.paces = Paces(held.paces)
        self.stock: dict[str, int] = dict(held.stock)
        self.has_canaries = held.has_canaries
        self.gauges = Gauges(held.gauges)

    def count_first(self, source: str, order_id: str, at_ms: int) -> None:
        """An order was heard of for the first time."""
        if order_id.startswith(CANARY_PREFIX):
            self.has_canaries = True
        else:
            self.arrivals.add(source, at_ms)

    def count_payment(self, order: Order, before: Facts, names: NameBook) -> None:
        """An order may have been created or paid, or news changed what is known of that.

        What is counted of an order rests on its facts alone, so that the order of arrival is
        nothing to it: when they change it is counted anew.
        """
        if _paid_by(before) == _paid_by(order.facts) or order.order_id.startswith(CANARY_PREFIX):
            return
        old, new = _payment(before, names), _payment(order.facts, names)
        if old == new:
            return
        if old is not None and new is not None and old[:2] == new[:2] and old[2] is None:
            self._add_paid(new, 1)  # nearly always: what was counted of its creation stays
            return
        if old is not None:
            self._add_payment(old, -1)
        if new is not None:
            self._add_payment(new, 1)

    def _add_payment(self, payment: _Payment, n: int) -> None:
        self.callbacks.created(payment[0], payment[1], n)
        self._add_paid(payment, n)

    def _add_paid(self, payment: _Payment, n: int) -> None:
        provider, created_ms, paid_ms = payment
        if paid_ms is not None:
            self.callbacks.paid(provider, created_ms, paid_ms, n)

    def count_verdict(self, before: Judged | None, after: Judged | None) -> None:
        """The verdict of an order came or changed."""
        if before == after:
            return
        if before is not None:
            self.budgets.remove(before.channel, before.judged_ms, before.fault)
        if after is not None:
            self.budgets.add(after.channel, after.judged_ms, after.fault)

    def count_pace(self, channel: str, order: Order) -> None:
        """A paid order is done; one with a long promise, or taken over by us, says no pace."""
        facts = order.facts
        paid_ms, done_ms, delivered_ms = facts.paid_ms, facts.done_ms, facts.delivered_ms
        if paid_ms is None or done_ms is None:
            return
        if order.taken_ms is not None or not is_prompt(paid_ms, paid_ms + facts.promise_ms):
            return
        if delivered_ms is None:
            self.paces.add(channel, done_ms, None)
        else:
            self.paces.add(channel, delivered_ms, delivered_ms - paid_ms)

    def forget(self, baselines: Mapping[str, Baseline], now_ms: int) -> None:
        """Something was learned: hours that are part of what is known need not be kept."""
        self.paces.forget({name: one.to_ms for name, one in baselines.items()}, now_ms)

    def merge(self, other: Tallies) -> None:
        """Add another shard's counts; in any order the sum is what one shard would have counted.

        Stock is no sum: the pool is counted as a whole, by whoever watches it.
        """
        self.arrivals.merge(other.arrivals)
        self.callbacks.merge(other.callbacks)
        self.budgets.join(other.budgets)
        self.paces.merge(other.paces)
        self.stock.update(other.stock)
        self.has_canaries |= other.has_canaries

    def snapshot(self) -> TalliesSnapshot:
        """Everything counted, in a fixed order."""
        return TalliesSnapshot(
            self.arrivals.snapshot(),
            self.callbacks.snapshot(),
            self.budgets.state(),
            self.paces.snapshot(),
            self.stock,
            self.has_canaries,
            self.gauges.state(),
        )


def judged(facts: Facts, breach_ms: int | None, channel: str) -> Judged | None:
    """The verdict that counts of an order; None while it is unpaid or undecided."""
    done_ms, delivered_ms = facts.done_ms, facts.delivered_ms
    if facts.paid_ms is None or (done_ms is None and breach_ms is None):
        return None
    is_late = delivered_ms is None or delivered_ms > facts.paid_ms + facts.promise_ms
    if breach_ms is None and done_ms is not None and not is_late:
        return Judged(channel, done_ms, _FAULTLESS)  # nearly always
    judged_ms = min(at_ms for at_ms in (done_ms, breach_ms) if at_ms is not None)
    is_failed = delivered_ms is None and facts.failed_ms is not None
    return Judged(channel, judged_ms, Fault(breach_ms is not None, is_late, is_failed))


def _payment(facts: Facts, names: NameBook) -> _Payment | None:
    """What is counted of an order's payment; one that is only inferred is none."""
    if facts.created_ms is None:
        return None
    paid_ms = None if facts.is_paid_inferred else facts.paid_ms
    return names.name("provider", facts.provider), facts.created_ms, paid_ms
