"""What is true of one order: a pure function of the set of its accepted events.

The events of an order are kept in canonical order (time, life-cycle rank, source, id). Everything
else here is derived from that tuple, so any order of arrival, any repetition and any late event
lead to the same facts (a join-semilattice; `reference/shops.md` §3.4).
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from monitor.model.events import LIFECYCLE_RANK, EventType, OrderEvent
from monitor.model.settings import PromiseTable

# Per type only the earliest few are kept: the earliest is what facts need, and "the earliest k" is
# itself independent of arrival order, so a flood for one order stays bounded and still converges.
# Callbacks count per meaning: a gateway that says `waiting` every minute must not hide the payment.
EVENTS_PER_TYPE_MAX = 16
CLOCK_SKEW_MS = 5 * 60_000  # contract §2: a difference of clocks up to this is not a contradiction

# Plain texts: looking a member up in its enum costs as much as the comparison it is for.
_CREATED, _PAID = EventType.CREATED.value, EventType.PAID.value
_CALLBACK, _ACCEPTED = EventType.CALLBACK.value, EventType.ACCEPTED.value
_RESERVED, _ATTEMPTED = EventType.RESERVED.value, EventType.ATTEMPTED.value
_ATTEMPT_FAILED, _DELIVERED = EventType.ATTEMPT_FAILED.value, EventType.DELIVERED.value
_VERIFIED, _FAILED = EventType.VERIFIED.value, EventType.FAILED.value
_CANCELLED, _REFUNDED = EventType.CANCELLED.value, EventType.REFUNDED.value
_EXPIRED = EventType.EXPIRED.value

_ATTRIBUTES = (
    "promise_ms", "channel", "sku", "quantity", "amount_minor", "currency", "provider",
    "customer_tier", "speed", "fulfilment", "region", "customer_hash",
)  # fmt: skip
_SKU, _SPEED, _FULFILMENT = (_ATTRIBUTES.index(name) for name in ("sku", "speed", "fulfilment"))
_attributes_of = attrgetter(*_ATTRIBUTES)
_HANDLING = (_ATTEMPTED, _ATTEMPT_FAILED, _DELIVERED, _VERIFIED)

_encoder = msgspec.json.Encoder()


class Facts(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The facts of one order; every time is the earliest accepted occurrence, UTC ms.

    `done_ms` is the first of delivery and closing, `channel` the one that holds or held it last,
    `sold_on` the one named at payment.
    """

    created_ms: int | None = None
    paid_ms: int | None = None
    is_paid_inferred: bool = False
    accepted_ms: int | None = None
    reserved_ms: int | None = None
    attempted_ms: int | None = None
    delivered_ms: int | None = None
    verified_ms: int | None = None
    failed_ms: int | None = None
    cancelled_ms: int | None = None
    refunded_ms: int | None = None
    promise_ms: int = 0
    source: str = ""
    channel: str | None = None
    sold_on: str | None = None
    sku: str | None = None
    quantity: int | None = None
    amount_minor: int | None = None
    currency: str | None = None
    provider: str | None = None
    customer_tier: str | None = None
    speed: str | None = None
    fulfilment: str | None = None
    region: str | None = None
    customer_hash: str | None = None
    contradictions: tuple[str, ...] = ()

    @property
    def closed_ms(self) -> int | None:
        """When the order was first closed without regard to delivery: failed, cancelled, refunded."""
        return _earliest(self.failed_ms, self.cancelled_ms, self.refunded_ms)

    @property
    def done_ms(self) -> int | None:
        """When the wait ended: the first of delivery and closing; None while the buyer waits."""
        if self.failed_ms is None and self.cancelled_ms is None and self.refunded_ms is None:
            return self.delivered_ms  # nearly always, and asked ten times per event
        return _earliest(self.delivered_ms, self.closed_ms)

    @property
    def deadline_ms(self) -> int | None:
        """Paid + promise: in time up to and including this millisecond."""
        return None if self.paid_ms is None else self.paid_ms + self.promise_ms


UNKNOWN = Facts()
"""What is known of an order before its first event."""


def canonical_key(event: OrderEvent) -> tuple[int, int, str, str]:
    """Order events by time, then life cycle, then origin: the same whoever arrives first."""
    return (event.time_ms, LIFECYCLE_RANK[event.type], event.source, event.event_id)


def insert(timeline: tuple[OrderEvent, ...], event: OrderEvent) -> tuple[OrderEvent, ...] | None:
    """Add an event to a timeline; None if it is a duplicate by (source, id) that changes nothing.

    Of two events that differ under one id the canonically first stands, whoever arrives first: see
    `is_repeated`.
    """
    if not event.is_unique:
        for index, known in enumerate(timeline):
            if known.event_id == event.event_id and known.source == event.source:
                if not _is_before(event, known):
                    return None
                timeline = timeline[:index] + timeline[index + 1 :]
                break
    if not timeline or not _is_sorted_before(event, timeline[-1]):  # nearly always
        merged = (*timeline, event)
    else:
        merged = tuple(sorted((*timeline, event), key=canonical_key))
    if len(merged) <= EVENTS_PER_TYPE_MAX:
        return merged
    seen: dict[tuple[str, str | None], int] = {}
    kept = []
    for entry in merged:
        said = (entry.type, entry.meaning)
        seen[said] = seen.get(said, 0) + 1
        if seen[said] <= EVENTS_PER_TYPE_MAX:
            kept.append(entry)
    return tuple(kept)


def is_repeated(
    event: OrderEvent, known: tuple[OrderEvent, ...], timeline: tuple[OrderEvent, ...]
) -> bool:
    """Whether an event was known by (source, id) before it was inserted, and only took its place."""
    return (
        len(timeline) <= len(known)  # hardly ever
        and not event.is_unique
        and any(one.event_id == event.event_id and one.source == event.source for one in known)
    )


def derive(timeline: tuple[OrderEvent, ...], promises: PromiseTable) -> Facts:
    """Derive all facts from a canonical timeline."""
    first: dict[str, int] = {}
    for event in timeline:
        if event.type not in first:  # the earliest stands
            first[event.type] = event.time_ms
    ranked = _by_word(timeline, first)
    promise_ms, named, *attributes = found = _attributes(ranked)
    paid_ms, is_inferred = _paid(timeline, first)
    delivered_ms = first.get(_DELIVERED, first.get(_VERIFIED))
    cancelled_ms = first.get(_CANCELLED)
    if _EXPIRED in first:
        cancelled_ms = _earliest(cancelled_ms, first[_EXPIRED])
    holder = sold_on = _sold_on(ranked)
    if _ATTEMPTED in first or _DELIVERED in first:
        holder = holder_at(timeline, sold_on, delivered_ms)
    return Facts(  # type: ignore[misc]  # mypy cannot count what a star brings
        first.get(_CREATED),
        paid_ms,
        is_inferred,
        first.get(_ACCEPTED),
        first.get(_RESERVED),
        first.get(_ATTEMPTED),
        delivered_ms,
        first.get(_VERIFIED),
        first.get(_FAILED),
        cancelled_ms,
        first.get(_REFUNDED),
        promise_ms or _promise_ms(promises, found[_SKU], found[_FULFILMENT], found[_SPEED]),
        ranked[0].source if ranked else "",
        holder or named,
        sold_on,
        *attributes,
        contradictions=(
            () if delivered_ms is None else _contradictions(timeline, first, paid_ms, delivered_ms)
        ),
    )


def holder_at(
    timeline: tuple[OrderEvent, ...], sold_on: str | None, at_ms: int | None
) -> str | None:
    """The channel that held the order at a time: its latest attempt, else the one sold on.

    With `at_ms` the time of delivery this is the delivering attempt's channel; None means now.
    """
    for event in reversed(timeline):
        is_holder = event.channel is not None and event.type in (_ATTEMPTED, _DELIVERED)
        if is_holder and (at_ms is None or event.time_ms <= at_ms):
            return event.channel
    return sold_on


def _is_before(event: OrderEvent, known: OrderEvent) -> bool:
    """Whether an event precedes another of the same id, by all that the shop said of it.

    A time that is ours, because the shop told none or our clock was wrong, gives way to the shop's.
    """
    if event.is_inferred != known.is_inferred:
        return known.is_inferred
    key, known_key = canonical_key(event), canonical_key(known)
    if key != known_key:
        return key < known_key
    same_arrival = msgspec.structs.replace(event, received_ms=known.received_ms)
    return same_arrival != known and _encoder.encode(same_arrival) < _encoder.encode(known)


def _earliest(*times: int | None) -> int | None:
    known = [time for time in times if time is not None]
    return min(known) if known else None


def _is_sorted_before(event: OrderEvent, other: OrderEvent) -> bool:
    if event.time_ms != other.time_ms:
        return event.time_ms < other.time_ms
    return canonical_key(event) < canonical_key(other)


def _paid(timeline: tuple[OrderEvent, ...], first: dict[str, int]) -> tuple[int | None, bool]:
    """Payment evidence of contract §2, and whether it is only inferred from a delivery."""
    for event in timeline:
        kind = event.type
        if (
            kind == _PAID
            or (kind == _CALLBACK and event.meaning == "paid")
            or (kind == _CREATED and event.created_means_paid)
        ):
            return event.time_ms, event.is_inferred
    handled = [first[kind] for kind in _HANDLING if kind in first]
    return (first.get(_CREATED, min(handled)), True) if handled else (None, False)


def _by_word(timeline: tuple[OrderEvent, ...], kinds: Container[str]) -> Sequence[OrderEvent]:
    """Events by how much their word counts, those of equal weight in canonical order.

    Contract §2: paid's word counts before created's, created's before the rest.
    """
    if len(timeline) < 2:
        return timeline
    ranked = [event for event in timeline if event.type == _PAID] if _PAID in kinds else []
    if _CREATED in kinds:
        ranked += [event for event in timeline if event.type == _CREATED]
    if len(ranked) < len(timeline):
        ranked += [event for event in timeline if event.type not in (_PAID, _CREATED)]
    return ranked


def _attributes(ranked: Sequence[OrderEvent]) -> Sequence[Any]:
    """A value for each of `_ATTRIBUTES`: that of the first event that has one."""
    if not ranked:
        return (None,) * len(_ATTRIBUTES)
    found: Sequence[Any] = _attributes_of(ranked[0])
    for event in ranked[1:]:
        said = _attributes_of(event)
        if said != found:  # most events of an order say the same again
            found = [
                new if known is None else known for known, new in zip(found, said, strict=True)
            ]
    return found


def _sold_on(ranked: Sequence[OrderEvent]) -> str | None:
    """The channel named before anybody tried to deliver, paid's word first."""
    for event in ranked:
        if event.channel and event.type not in _HANDLING:
            return event.channel
    return None


def promise_basis(timeline: tuple[OrderEvent, ...]) -> tuple[Any, ...]:
    """Everything of an order that chooses its promise from a table; equal basis, equal promise."""
    found = _attributes(_by_word(timeline, LIFECYCLE_RANK))
    return (found[0], found[_SKU], found[_FULFILMENT], found[_SPEED])


def promise_of(facts: Facts, promises: PromiseTable) -> int:
    """What a table promises to an order of which these facts are known."""
    return _promise_ms(promises, facts.sku, facts.fulfilment, facts.speed)


def _promise_ms(
    promises: PromiseTable, sku: str | None, fulfilment: str | None, speed: str | None
) -> int:
    """The most specific promise wins: sku, then fulfilment, then speed, then the default."""
    if sku is not None and sku in promises.by_sku:
        return promises.by_sku[sku]
    if fulfilment is not None and fulfilment in promises.by_fulfilment:
        return promises.by_fulfilment[fulfilment]
    if speed is not None and speed in promises.by_speed:
        return promises.by_speed[speed]
    return promises.default_ms


def _contradictions(
    timeline: tuple[OrderEvent, ...],
    first: dict[str, int],
    paid_ms: int | None,
    delivered_ms: int,
) -> tuple[str, ...]:
    """What cannot all be true of a delivered order; kept, counted and shown, never a crash."""
    found = []
    if paid_ms is not None and delivered_ms < paid_ms - CLOCK_SKEW_MS:
        found.append("delivered_before_paid")
    told = [one for one in timeline if one.type == _DELIVERED and one.takeover_id is None]
    # A webhook without a time and the poll that has it speak of one delivery.
    timed = [one.time_ms for one in told if not one.is_inferred]
    if len(set(timed or [one.time_ms for one in told])) > 1:
        found.append("delivered_twice")
    refunded = first.get(_REFUNDED)
    if refunded is not None and refunded < delivered_ms:
        found.append("delivered_after_refund")
    return tuple(found)
