"""The quick ways through `insert` and `derive` against the same rules written out at length."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from monitor.core.orders.facts import (
    EVENTS_PER_TYPE_MAX,
    Facts,
    canonical_key,
    derive,
    insert,
)
from monitor.model.events import EventType, OrderEvent
from monitor.model.settings import PromiseTable

PROMISES = PromiseTable(
    default_ms=180_000,
    by_sku={"gold": 60_000},
    by_speed={"express": 30_000},
    by_fulfilment={"manual": 900_000},
)
EVENTS = st.builds(
    OrderEvent,
    type=st.sampled_from([kind.value for kind in EventType if kind != EventType.HEARTBEAT]),
    order_id=st.just("o"),
    source=st.sampled_from(["one", "two"]),
    event_id=st.integers(0, 99).map(str),
    time_ms=st.integers(0, 6),
    received_ms=st.just(0),
    is_inferred=st.booleans(),
    created_means_paid=st.booleans(),
    meaning=st.sampled_from([None, "paid", "waiting"]),
    takeover_id=st.sampled_from([None, "t"]),
    channel=st.sampled_from([None, "auto", "pool"]),
    sku=st.sampled_from([None, "gold", "salt"]),
    quantity=st.sampled_from([None, 0, 1]),
    amount_minor=st.sampled_from([None, 500]),
    currency=st.sampled_from([None, "CNY"]),
    provider=st.sampled_from([None, "alipay"]),
    customer_tier=st.sampled_from([None, "vip"]),
    speed=st.sampled_from([None, "express", "economy"]),
    fulfilment=st.sampled_from([None, "manual"]),
    region=st.sampled_from([None, "eu"]),
    promise_ms=st.sampled_from([None, None, 1]),
    customer_hash=st.sampled_from([None, "h"]),
)
SAID = (
    "sku", "quantity", "amount_minor", "currency", "provider", "customer_tier", "speed",
    "fulfilment", "region", "customer_hash",
)  # fmt: skip


def at(events: list[OrderEvent], *kinds: str) -> int | None:
    """The earliest time of any of these types."""
    return min((event.time_ms for event in events if event.type in kinds), default=None)


def first_of(events: list[OrderEvent], name: str) -> Any:
    """The first value that is there, paid's word before created's before the rest."""
    for kinds in (("order.paid",), ("order.created",), None):
        for event in events:
            is_asked = (
                event.type in kinds if kinds else event.type not in ("order.paid", "order.created")
            )
            if is_asked and getattr(event, name) is not None:
                return getattr(event, name)
    return None


def spelled_out(events: list[OrderEvent]) -> dict[str, Any]:
    """Facts of events that stand in canonical order, each looked for on its own."""
    handling = ("delivery.attempted", "delivery.failed", "delivery.delivered", "delivery.verified")
    proofs = [
        event for event in events
        if event.type == "order.paid"
        or (event.type == "payment.callback" and event.meaning == "paid")
        or (event.type == "order.created" and event.created_means_paid)
    ]  # fmt: skip
    created, handled = at(events, "order.created"), at(events, *handling)
    guess = None if handled is None else (handled if created is None else created)
    delivered = at(events, "delivery.delivered")
    delivered = at(events, "delivery.verified") if delivered is None else delivered
    untouched = [event for event in events if event.type not in handling and event.channel]
    sold_on = first_of(untouched, "channel")
    holders = [
        event.channel for event in events
        if event.type in ("delivery.attempted", "delivery.delivered") and event.channel
        and (delivered is None or event.time_ms <= delivered)
    ]  # fmt: skip
    promises = (
        first_of(events, "promise_ms"),
        PROMISES.by_sku.get(str(first_of(events, "sku"))),
        PROMISES.by_fulfilment.get(str(first_of(events, "fulfilment"))),
        PROMISES.by_speed.get(str(first_of(events, "speed"))),
        PROMISES.default_ms,
    )
    return {
        "created_ms": created,
        "paid_ms": proofs[0].time_ms if proofs else guess,
        "is_paid_inferred": proofs[0].is_inferred if proofs else guess is not None,
        "accepted_ms": at(events, "order.accepted"),
        "reserved_ms": at(events, "stock.reserved"),
        "attempted_ms": at(events, "delivery.attempted"),
        "delivered_ms": delivered,
        "verified_ms": at(events, "delivery.verified"),
        "failed_ms": at(events, "order.failed"),
        "cancelled_ms": at(events, "order.cancelled", "order.expired"),
        "refunded_ms": at(events, "order.refunded"),
        "promise_ms": next(promise for promise in promises if promise),
        "source": first_of(events, "source") or "",
        "channel": holders[-1] if holders else sold_on or first_of(events, "channel"),
        "sold_on": sold_on,
    } | {name: first_of(events, name) for name in SAID}


@given(st.lists(EVENTS, max_size=8))
def test_facts_equal_those_looked_for_one_by_one(events: list[OrderEvent]) -> None:
    """Every fact but the contradictions, which have tests of their own."""
    events = sorted(events, key=canonical_key)
    facts = derive(tuple(events), PROMISES)
    expected = spelled_out(events)
    assert {name: getattr(facts, name) for name in expected} == expected
    assert {*expected, "contradictions"} == {*Facts.__struct_fields__}


@given(st.lists(EVENTS, max_size=60, unique_by=lambda event: (event.source, event.event_id)))
def test_timeline_is_the_sorted_events_whatever_came_first(events: list[OrderEvent]) -> None:
    """Appending what is late enough gives what sorting everything gives, up to the limit."""
    timeline: tuple[OrderEvent, ...] = ()
    for event in events:
        timeline = insert(timeline, event) or timeline
    kept, seen = [], dict[tuple[str, str | None], int]()
    for event in sorted(events, key=canonical_key):
        said = (event.type, event.meaning)
        seen[said] = seen.get(said, 0) + 1
        if len(events) <= EVENTS_PER_TYPE_MAX or seen[said] <= EVENTS_PER_TYPE_MAX:
            kept.append(event)
    assert timeline == tuple(kept)
    assert insert(timeline, timeline[0]) is None if timeline else True


@given(st.integers(0, 9), st.none() | st.integers(0, 9), st.none() | st.integers(0, 9))
def test_wait_ends_with_the_first_of_delivery_and_closing(
    refunded: int, delivered: int | None, cancelled: int | None
) -> None:
    """`closed_ms` and `done_ms` are the earliest of the times there are."""
    facts = Facts(refunded_ms=refunded, delivered_ms=delivered, cancelled_ms=cancelled)
    closed = min(time for time in (refunded, cancelled) if time is not None)
    assert facts.closed_ms == closed
    assert facts.done_ms == (closed if delivered is None else min(closed, delivered))
    assert Facts(delivered_ms=delivered).done_ms == delivered
