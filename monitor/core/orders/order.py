"""The record of one order, and what must happen to it by itself as time passes.

`checks` is the whole clockwork of an order: which decisions are due now, and when to look again.
"""

from __future__ import annotations

from bisect import bisect_right

import msgspec

from monitor.core.orders.facts import Facts
from monitor.core.orders.lifecycle import is_breach
from monitor.core.orders.packed import pack, share_texts, unpack
from monitor.core.playbooks.levels import VIP, looks_ms
from monitor.model.events import OrderEvent
from monitor.model.playbooks import Action, RefundStep
from monitor.model.settings import Settings
from monitor.model.takeovers import CaseState, TakeoverCase

CASE_ENDS = (CaseState.DELIVERED, CaseState.VOIDED)


class Order(msgspec.Struct, gc=False, omit_defaults=True, rename={"events": "timeline"}):
    """One order in memory; mutable, owned by the shard alone (house rule 4).

    `breach_ms`, `tier`, `case`, `level` and `actions` (of playbooks) come from decisions,
    everything else from events.
    `hold_until_ms`: first seen overdue, so nothing starts before this (contract §2).
    `handed_over_ms`: the shop took our goods; it stands for the delivery until the shop tells its
    own, which wins. While it rests its events are in `packed`: read them as `timeline`.
    """

    order_id: str
    events: tuple[OrderEvent, ...]
    facts: Facts
    breach_ms: int | None = None
    breach_channel: str | None = None
    tier: int = 0
    case: TakeoverCase | None = None
    hold_until_ms: int = 0
    handed_over_ms: int | None = None
    faults: tuple[str, ...] = ()  # what the shop did wrong, as `model/faults.py` names it
    level: int = 0
    actions: tuple[Action, ...] = ()
    packed: bytes = b""

    @property
    def timeline(self) -> tuple[OrderEvent, ...]:
        """Its events in canonical order."""
        return unpack(self.order_id, self.packed) if self.packed else self.events

    @timeline.setter
    def timeline(self, events: tuple[OrderEvent, ...]) -> None:
        self.events, self.packed = events, b""

    @property
    def traceparent(self) -> str | None:
        """Its trace in the shop, by the first event that names one."""
        return next((one.traceparent for one in self.timeline if one.traceparent), None)

    def rest(self) -> None:
        """Take as little memory as possible, until something is said of it again."""
        if self.events:
            self.events, self.packed = (), pack(self.events)
            share_texts(self.facts)

    def wake(self) -> Order:
        """Itself, with the events at hand again."""
        if self.packed:
            self.timeline = self.timeline
        return self

    def awake(self) -> Order:
        """The order as it is stored: itself, or what it was before it rested."""
        if not self.packed:
            return self
        return msgspec.structs.replace(self, events=self.timeline, packed=b"")

    def with_hand_over(self, facts: Facts) -> Facts:
        """Facts, completed by our own delivery while the shop has not reported one."""
        if self.handed_over_ms is None or facts.delivered_ms is not None:
            return facts
        return msgspec.structs.replace(facts, delivered_ms=self.handed_over_ms)

    @property
    def is_open(self) -> bool:
        """Paid, and the buyer still waits."""
        return self.facts.paid_ms is not None and self.facts.done_ms is None

    @property
    def counts_for(self) -> str | None:
        """The channel this order is counted for: holder at breach, else deliverer, else sold on."""
        return self.breach_channel or self.facts.channel

    @property
    def taken_ms(self) -> int | None:
        """When the fallback took the order over from its channel; None while nobody did."""
        case = self.case
        return None if case is None or not case.attempts else case.opened_ms

    @property
    def is_paying_back(self) -> bool:
        """Whether the shop was asked to refund it: from then on it is not ours to deliver."""
        return any(isinstance(one.step, RefundStep) and one.sent_ms for one in self.actions)

    @property
    def is_in_hand(self) -> bool:
        """Whether its case, or an action that was asked for or waits, has still to come to an end."""
        has_case = self.case is not None and self.case.state not in CASE_ENDS
        return has_case or any(not one.is_final for one in self.actions)

    def age_ms(self, now_ms: int) -> int:
        """Time since payment until now or until the wait ended; 0 while unpaid."""
        if self.facts.paid_ms is None:
            return 0
        done_ms = self.facts.done_ms
        return max(0, (now_ms if done_ms is None else done_ms) - self.facts.paid_ms)

    def is_unjudged(self, now_ms: int) -> bool:
        """Whether time, or the return of its source, still has something to decide about it."""
        return self.is_open or (self.breach_ms is None and is_breach(self.facts, now_ms))


class Due(msgspec.Struct, frozen=True, gc=False):
    """What an order's age calls for, and when to look again (None: never by itself)."""

    is_breached: bool
    tier: int
    is_stuck: bool
    next_ms: int | None
    is_waiting: bool = False  # open, and not held


_NOTHING = Due(is_breached=False, tier=0, is_stuck=False, next_ms=None)
_LATE = msgspec.structs.replace(_NOTHING, is_breached=True)
PROMISES_MAX = 1_000  # different promises of which the ages are remembered


class Ages(msgspec.Struct, frozen=True, gc=False):
    """Ages in ms at which something happens to orders of one promise.

    `tiers`: an order that is older than these is in L1, L2, L3. `turns`: when to look at one with a
    takeover case, in ascending order; `turns_open`: at one that may yet get a case.
    """

    tiers: tuple[int, int, int]
    turns: tuple[int, ...]
    turns_open: tuple[int, ...]


class Clockwork:
    """The ages that matter under one set of settings, worked out once per promise."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._ages: dict[tuple[int, bool], Ages] = {}

    def ages(self, facts: Facts) -> Ages:
        """The ages of orders with such a promise, to such a buyer."""
        key = (facts.promise_ms, facts.customer_tier == VIP)
        ages = self._ages.get(key)
        if ages is None:
            if len(self._ages) >= PROMISES_MAX:
                self._ages.clear()
            ages = self._ages[key] = _ages(facts, self.settings)
        return ages


def _ages(facts: Facts, settings: Settings) -> Ages:
    tiers = tier_limits_ms(facts, settings)
    # Strictly later than the limit: the events of the deadline's own millisecond come first.
    turns = {*(limit_ms + 1 for limit_ms in tiers), facts.promise_ms + 1}
    if settings.playbooks.levels:
        turns.update(looks_ms(facts, tiers, settings))
    with_case = tuple(sorted(turns))
    return Ages(tiers, with_case, tuple(sorted({*with_case, settings.fallback.after_ms})))


def tier_limits_ms(facts: Facts, settings: Settings) -> tuple[int, int, int]:
    """Ages from which an order is in L1, L2, L3; long promises stretch L2 and L3 (contract §5).

    No tier begins before the promise is broken, whatever the settings say: an order in time is
    nobody's business.
    """
    tiers, promise_ms = settings.tiers, facts.promise_ms
    second, third = tiers.l2_after_ms, tiers.l3_after_ms
    if promise_ms > settings.promise.default_ms:
        stretch = promise_ms / settings.promise.default_ms
        second, third = round(second * stretch), round(third * stretch)
    first = promise_ms if tiers.l1_after_ms is None else tiers.l1_after_ms
    second = max(second, promise_ms)
    return (first, second, max(third, second))


def checks(order: Order, clockwork: Clockwork, now_ms: int, held_until_ms: int | None) -> Due:
    """Judge one order at a time.

    `held_until_ms`: no breach, tier or takeover before this; None means held with no end in sight
    (its source is silent), then the caller asks again when the source is back.
    """
    facts = order.facts
    paid_ms = facts.paid_ms
    if paid_ms is None:
        return _NOTHING
    if held_until_ms is None or now_ms < held_until_ms:
        return Due(is_breached=False, tier=0, is_stuck=False, next_ms=held_until_ms)
    if facts.done_ms is not None:
        return _LATE if order.breach_ms is None and is_breach(facts, now_ms) else _NOTHING
    age_ms = now_ms - paid_ms
    ages = clockwork.ages(facts)
    settings = clockwork.settings
    may_open = order.case is None or _is_only_advised(order.case, settings)
    turns = ages.turns_open if may_open else ages.turns
    place = bisect_right(turns, age_ms)
    next_ms = paid_ms + turns[place] if place < len(turns) else None
    if not place:
        return Due(
            is_breached=False, tier=0, is_stuck=False, next_ms=next_ms, is_waiting=True
        )  # nearly always
    return Due(
        is_breached=order.breach_ms is None and age_ms > facts.promise_ms,
        tier=_tier(ages.tiers, age_ms),
        is_stuck=may_open and age_ms >= settings.fallback.after_ms,
        next_ms=next_ms,
        is_waiting=True,
    )


def is_same_to_others(before: TakeoverCase, after: TakeoverCase) -> bool:
    """Whether a case moved without any signal, deadline or count of its order changing.

    So it is between the first submit and the end; that it began or ended is everybody's matter.
    """
    ends = (CaseState.ADVISED, CaseState.DELIVERED, CaseState.VOIDED)
    return (
        before.takeover_id == after.takeover_id
        and bool(before.attempts) == bool(after.attempts)
        and before.state not in ends
        and after.state not in ends
    )


def _tier(limits_ms: tuple[int, int, int], age_ms: int) -> int:
    first, second, third = limits_ms
    return 3 if age_ms > third else 2 if age_ms > second else 1 if age_ms > first else 0


def _is_only_advised(case: TakeoverCase, settings: Settings) -> bool:
    """Whether people were told of the order before the fallback was armed, which may act now."""
    fallback = settings.fallback
    is_armed = fallback.mode == "enforce" and fallback.has_shop
    return is_armed and case.state == CaseState.ADVISED
