"""Order life-cycle events: what shops tell us, validated and normalised, as they are logged.

Source: contract §2. `OrderEvent` is the canonical form of all wire formats; decoding lives in
`monitor/api`. It carries no card secret and no buyer data but a hash.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class EventType(StrEnum):
    """The event types of the contract; the order of the list breaks ties in time."""

    CREATED = "order.created"
    PAID = "order.paid"
    CALLBACK = "payment.callback"
    ACCEPTED = "order.accepted"
    RESERVED = "stock.reserved"
    ATTEMPTED = "delivery.attempted"
    ATTEMPT_FAILED = "delivery.failed"
    DELIVERED = "delivery.delivered"
    VERIFIED = "delivery.verified"
    FAILED = "order.failed"
    CANCELLED = "order.cancelled"
    REFUNDED = "order.refunded"
    EXPIRED = "order.expired"
    HEARTBEAT = "source.heartbeat"


LIFECYCLE_RANK: dict[str, int] = {kind.value: rank for rank, kind in enumerate(EventType)}
# The last word of a type; where two share one (`failed`), the order's own event is meant.
TYPE_OF_WORD: dict[str, str] = {
    kind.value.rsplit(".", 1)[1]: kind.value for kind in reversed(EventType)
} | {"failed": EventType.FAILED.value}


class OrderEvent(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="t", tag="e"):
    """One accepted fact about one order (or a heartbeat of a source).

    `time_ms` is the shop's clock, `received_ms` ours. `event_id` is never empty: a content hash
    stands in when the shop sent none. `is_inferred` says the time is ours, not the shop's.
    `is_unique` says the event can never be a duplicate (heartbeats, events without a time).
    `payment` and `goods` are keyed digests of the payment's number and of what was delivered.
    """

    type: str
    order_id: str
    source: str
    event_id: str
    time_ms: int
    received_ms: int
    is_inferred: bool = False
    is_unique: bool = False
    created_means_paid: bool = False
    meaning: str | None = None
    outcome: str | None = None
    takeover_id: str | None = None
    channel: str | None = None
    sku: str | None = None
    quantity: int | None = None
    amount_minor: int | None = None
    currency: str | None = None
    provider: str | None = None
    customer_tier: str | None = None
    speed: str | None = None
    fulfilment: str | None = None
    region: str | None = None
    attempt: int | None = None
    reason: str | None = None
    promise_ms: int | None = None
    customer_hash: str | None = None
    traceparent: str | None = None
    payment: str | None = None
    goods: tuple[str, ...] = ()
    goods_units: int = 0  # how many were delivered, where that could be counted
