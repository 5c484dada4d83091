"""What one more event at the end of a timeline adds to facts that are known already.

Nearly all events come in the order in which they happened and tell one step of an order, with words
that are known: of six events only the first is derived from the whole timeline. For whatever is not
that plain the answer is None, and the facts are derived anew; both ways say the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import msgspec

from monitor.core.orders.facts import Facts, promise_of
from monitor.model.events import EventType, OrderEvent
from monitor.model.settings import PromiseTable

_PAID = EventType.PAID.value
_DELIVERED, _VERIFIED = EventType.DELIVERED.value, EventType.VERIFIED.value
_STEPS: dict[str, str] = {
    EventType.ACCEPTED.value: "accepted_ms",
    EventType.RESERVED.value: "reserved_ms",
    EventType.ATTEMPTED.value: "attempted_ms",
    _DELIVERED: "delivered_ms",
    _VERIFIED: "verified_ms",
    EventType.FAILED.value: "failed_ms",
    EventType.CANCELLED.value: "cancelled_ms",
    EventType.EXPIRED.value: "cancelled_ms",
    EventType.REFUNDED.value: "refunded_ms",
}
_HOLDING = (EventType.ATTEMPTED.value, _DELIVERED)
_said_of = attrgetter(
    "sku", "quantity", "amount_minor", "currency", "provider", "customer_tier", "speed",
    "fulfilment", "region", "customer_hash",
)  # fmt: skip
_set = msgspec.structs.force_setattr


def extend(facts: Facts, event: OrderEvent, promises: PromiseTable) -> Facts | None:
    """Facts of a timeline with an event behind its last; None: they have to be derived anew.

    `facts`: what `derive` says of the timeline without the event; with the promise that was given,
    if it is paid.
    """
    if event.promise_ms is not None or facts.refunded_ms is not None:
        return None  # a delivery after a refund is a contradiction
    if facts.paid_ms is None:
        return _paid(facts, event, promises) if event.type == _PAID else None
    step = _STEPS.get(event.type)
    if step is None or getattr(facts, step) is not None:
        return None
    said, known = _said_of(event), _said_of(facts)
    if said != known and _tells_more(said, known):  # most say the same again
        return None
    return _one_step(facts, event, step)


def _paid(facts: Facts, event: OrderEvent, promises: PromiseTable) -> Facts | None:
    """The payment of an order of which it says nothing new; its word counts most from now on."""
    said, known = _said_of(event), _said_of(facts)
    if (
        event.source != facts.source
        or event.channel not in (None, facts.sold_on)
        or facts.delivered_ms is not None
        or facts.promise_ms != promise_of(facts, promises)
        or (said != known and _tells_otherwise(said, known))
    ):
        return None
    made: Facts = facts.__copy__()  # type: ignore[attr-defined]  # every Struct has it
    _set(made, "paid_ms", event.time_ms)
    _set(made, "is_paid_inferred", event.is_inferred)
    return made


def _one_step(facts: Facts, event: OrderEvent, step: str) -> Facts | None:
    kind, channel = event.type, event.channel
    if channel is not None and facts.sold_on is None and kind not in _HOLDING:
        return None
    made: Facts = facts.__copy__()  # type: ignore[attr-defined]  # every Struct has it
    _set(made, step, event.time_ms)
    if kind == _VERIFIED and facts.delivered_ms is None:
        _set(made, "delivered_ms", event.time_ms)
    if kind in _HOLDING and channel is not None and channel != facts.channel:
        delivered_ms = facts.delivered_ms
        if delivered_ms is None or event.time_ms <= delivered_ms:
            _set(made, "channel", channel)
        elif facts.channel is None:
            return None
    return made


def _tells_more(said: Sequence[Any], known: Sequence[Any]) -> bool:
    """Whether an event names something that none before it did."""
    return any(new is not None and old is None for new, old in zip(said, known, strict=True))


def _tells_otherwise(said: Sequence[Any], known: Sequence[Any]) -> bool:
    """Whether an event names something that is not known, or not so."""
    return any(new is not None and new != old for new, old in zip(said, known, strict=True))
