"""What is true of one order: a pure function of the set of its accepted events.

The events of an order are kept in canonical order (time, life-cycle rank, source, id). Everything
else here is derived from that tuple, so any order of arrival, any repetition and any late event
lead to the same facts (a join-semilattice; `reference/shops.md` §3.4).
"""

from __future__ import annotations

from typing import Any

import msgspec

from monitor.model.events import LIFECYCLE_RANK, EventType, OrderEvent
from monitor.model.settings import PromiseTable

# Per type only the earliest few are kept: the earliest is what facts need, and "the earliest k" is
# itself independent of arrival order, so a flood for one order stays bounded and still converges.
EVENTS_PER_TYPE_MAX = 16
CLOCK_SKEW_MS = 5 * 60_000  # contract §2: a difference of clocks up to this is not a contradiction

_ATTRIBUTES = (
    "channel", "sku", "quantity", "amount_minor", "currency", "provider", "customer_tier", "speed",
    "fulfilment", "region", "promise_ms", "customer_hash",
)  # fmt: skip
# Contract §2: paid's word counts before created's, created's before the rest.
_SOURCE_RANK = {EventType.PAID.value: 0, EventType.CREATED.value: 1}
_HANDLING = (
    EventType.ATTEMPTED, EventType.ATTEMPT_FAILED, EventType.DELIVERED, EventType.VERIFIED,
)  # fmt: skip

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
        return _earliest(self.delivered_ms, self.closed_ms)

    @property
    def deadline_ms(self) -> int | None:
        """Paid + promise: in time up to and including this millisecond."""
        return None if self.paid_ms is None else self.paid_ms + self.promise_ms


def canonical_key(event: OrderEvent) -> tuple[int, int, str, str]:
    """Order events by time, then life cycle, then origin: the same whoever arrives first."""
    return (event.time_ms, LIFECYCLE_RANK[event.type], event.source, event.event_id)


def insert(timeline: tuple[OrderEvent, ...], event: OrderEvent) -> tuple[OrderEvent, ...] | None:
    """Add an event to a timeline; None if it is a duplicate by (source, id).

    Of two events that differ under one id the canonically first stands, whoever arrives first.
    """
    if not event.is_unique:
        for index, known in enumerate(timeline):
            if known.event_id == event.event_id and known.source == event.source:
                if not _is_before(event, known):
                    return None
                timeline = timeline[:index] + timeline[index + 1 :]
                break
    merged = sorted((*timeline, event), key=canonical_key)
    if len(merged) <= EVENTS_PER_TYPE_MAX:
        return tuple(merged)
    room = dict.fromkeys(LIFECYCLE_RANK, EVENTS_PER_TYPE_MAX)
    kept = []
    for entry in merged:
        if room[entry.type]:
            room[entry.type] -= 1
            kept.append(entry)
    return tuple(kept)


def derive(timeline: tuple[OrderEvent, ...], promises: PromiseTable) -> Facts:
    """Derive all facts from a canonical timeline."""
    first = _first_times(timeline)
    attributes = _attributes(timeline)
    paid_ms, is_inferred = _paid(timeline, first)
    delivered_ms = first.get(EventType.DELIVERED.value, first.get(EventType.VERIFIED.value))
    cancelled_ms = _earliest(
        first.get(EventType.CANCELLED.value), first.get(EventType.EXPIRED.value)
    )
    promise_ms = attributes.pop("promise_ms") or _promise_ms(promises, attributes)
    named = attributes.pop("channel")
    sold_on = _sold_on(timeline)
    return Facts(
        created_ms=first.get(EventType.CREATED.value),
        paid_ms=paid_ms,
        is_paid_inferred=is_inferred,
        accepted_ms=first.get(EventType.ACCEPTED.value),
        reserved_ms=first.get(EventType.RESERVED.value),
        attempted_ms=first.get(EventType.ATTEMPTED.value),
        delivered_ms=delivered_ms,
        verified_ms=first.get(EventType.VERIFIED.value),
        failed_ms=first.get(EventType.FAILED.value),
        cancelled_ms=cancelled_ms,
        refunded_ms=first.get(EventType.REFUNDED.value),
        promise_ms=promise_ms,
        source=_source(timeline),
        channel=holder_at(timeline, sold_on, delivered_ms) or named,
        sold_on=sold_on,
        contradictions=_contradictions(timeline, first, paid_ms, delivered_ms),
        **attributes,
    )


def holder_at(
    timeline: tuple[OrderEvent, ...], sold_on: str | None, at_ms: int | None
) -> str | None:
    """The channel that held the order at a time: its latest attempt, else the one sold on.

    With `at_ms` the time of delivery this is the delivering attempt's channel; None means now.
    """
    holder = sold_on
    for event in timeline:
        if at_ms is not None and event.time_ms > at_ms:
            break
        is_attempt = event.type in (EventType.ATTEMPTED, EventType.DELIVERED)
        if is_attempt and event.channel is not None:
            holder = event.channel
    return holder


def _is_before(event: OrderEvent, known: OrderEvent) -> bool:
    """Whether an event precedes another of the same id, by all that the shop said of it."""
    key, known_key = canonical_key(event), canonical_key(known)
    if key != known_key:
        return key < known_key
    same_arrival = msgspec.structs.replace(event, received_ms=known.received_ms)
    return same_arrival != known and _encoder.encode(same_arrival) < _encoder.encode(known)


def _earliest(*times: int | None) -> int | None:
    known = [time for time in times if time is not None]
    return min(known) if known else None


def _first_times(timeline: tuple[OrderEvent, ...]) -> dict[str, int]:
    first: dict[str, int] = {}
    for event in timeline:  # canonical order: the first seen is the earliest
        first.setdefault(event.type, event.time_ms)
    return first


def _paid(timeline: tuple[OrderEvent, ...], first: dict[str, int]) -> tuple[int | None, bool]:
    """Payment evidence of contract §2, and whether it is only inferred from a delivery."""
    for event in timeline:
        is_paid = event.type == EventType.PAID or (
            event.type == EventType.CALLBACK and event.meaning == "paid"
        )
        if is_paid or (event.type == EventType.CREATED and event.created_means_paid):
            return event.time_ms, event.is_inferred
    handling = _earliest(
        first.get(EventType.ATTEMPTED.value),
        first.get(EventType.ATTEMPT_FAILED.value),
        first.get(EventType.DELIVERED.value),
        first.get(EventType.VERIFIED.value),
    )
    if handling is None:
        return None, False
    created = first.get(EventType.CREATED.value)
    return (handling if created is None else created), True


def _attributes(timeline: tuple[OrderEvent, ...]) -> dict[str, Any]:
    ranked = sorted(timeline, key=lambda event: _SOURCE_RANK.get(event.type, 2))
    found: dict[str, Any] = dict.fromkeys(_ATTRIBUTES)
    for event in ranked:
        for name in _ATTRIBUTES:
            if found[name] is None:
                found[name] = getattr(event, name)
    return found


def _sold_on(timeline: tuple[OrderEvent, ...]) -> str | None:
    """The channel named before anybody tried to deliver, paid's word first."""
    named = [event for event in timeline if event.channel and event.type not in _HANDLING]
    ranked = sorted(named, key=lambda event: _SOURCE_RANK.get(event.type, 2))
    return ranked[0].channel if ranked else None


def _source(timeline: tuple[OrderEvent, ...]) -> str:
    ranked = sorted(timeline, key=lambda event: _SOURCE_RANK.get(event.type, 2))
    return ranked[0].source if ranked else ""


def promise_basis(timeline: tuple[OrderEvent, ...]) -> tuple[Any, ...]:
    """Everything of an order that chooses its promise from a table; equal basis, equal promise."""
    attributes = _attributes(timeline)
    return tuple(attributes[name] for name in ("promise_ms", "sku", "fulfilment", "speed"))


def _promise_ms(promises: PromiseTable, attributes: dict[str, Any]) -> int:
    """The most specific promise wins: sku, then fulfilment, then speed, then the default."""
    for table, name in (
        (promises.by_sku, "sku"),
        (promises.by_fulfilment, "fulfilment"),
        (promises.by_speed, "speed"),
    ):
        chosen = table.get(str(attributes[name]))
        if chosen is not None:
            return chosen
    return promises.default_ms


def _contradictions(
    timeline: tuple[OrderEvent, ...],
    first: dict[str, int],
    paid_ms: int | None,
    delivered_ms: int | None,
) -> tuple[str, ...]:
    """What cannot all be true; kept, counted and shown, never a crash."""
    if delivered_ms is None:
        return ()
    found = []
    if paid_ms is not None and delivered_ms < paid_ms - CLOCK_SKEW_MS:
        found.append("delivered_before_paid")
    shop_deliveries = {
        event.time_ms
        for event in timeline
        if event.type == EventType.DELIVERED and event.takeover_id is None
    }
    if len(shop_deliveries) > 1:
        found.append("delivered_twice")
    refunded = first.get(EventType.REFUNDED.value)
    if refunded is not None and refunded < delivered_ms:
        found.append("delivered_after_refund")
    return tuple(found)
