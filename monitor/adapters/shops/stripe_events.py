"""What an event of Stripe says, as a webhook and as an entry of `/v1/events` alike.

    checkout.session.completed            order.paid if the money is there, else order.created
    checkout.session.async_payment_succeeded, payment_intent.succeeded      order.paid
    checkout.session.async_payment_failed, payment_intent.payment_failed    payment.callback, not paid
    checkout.session.expired, payment_intent.canceled                       the same: one try is over
    charge.refunded                       order.refunded once all of it is back

A session and an intent are tries to pay an order, not the order: the buyer may open another one.
Stripe knows the shop's order only if the shop tells it: `metadata.order_id` (WooCommerce's plugin
does) or `client_reference_id`. What names no order is no fact about one. `client_secret` and the
rest of an object are never decoded.
"""

from __future__ import annotations

from typing import Any

import msgspec

from monitor.adapters.shops.facts import Facts
from monitor.model.events import EventType, OrderEvent

PROVIDER = "stripe"
_ORDER_KEYS = ("order_id", "orderId", "order_no", "order_number")
_ORDER_ID_CHARS_MAX = 128

# What an event of a type means; None where the object decides.
KINDS: dict[str, EventType | None] = {
    "checkout.session.completed": None,
    "checkout.session.async_payment_succeeded": EventType.PAID,
    "checkout.session.async_payment_failed": EventType.CALLBACK,
    "checkout.session.expired": EventType.CALLBACK,
    "payment_intent.succeeded": EventType.PAID,
    "payment_intent.payment_failed": EventType.CALLBACK,
    "payment_intent.canceled": EventType.CALLBACK,
    "charge.refunded": None,
}


class PaymentObject(msgspec.Struct, frozen=True):
    """Of a session, an intent or a charge what is read; amounts are in minor units."""

    currency: str | None = None
    client_reference_id: str | None = None
    metadata: dict[str, str] | None = None
    payment_status: str | None = None
    amount: int | None = None
    amount_total: int | None = None
    refunded: bool | None = None


class Envelope(msgspec.Struct, frozen=True):
    """The `data` of an event; objects that are not about payments are not looked into."""

    object: msgspec.Raw


class StripeEvent(msgspec.Struct, frozen=True):
    """One event; `created` is unix seconds."""

    id: str
    type: str
    created: int
    data: Envelope


_objects = msgspec.json.Decoder(PaymentObject)


def events_of(event: StripeEvent, facts: Facts, received_ms: int) -> tuple[OrderEvent, ...]:
    """The fact an event tells, or none.

    Raises: msgspec.ValidationError if its object is not what Stripe sends.
    """
    if event.type not in KINDS:
        return ()
    thing = _objects.decode(event.data.object)
    order_id, kind = _order_id(thing), _kind(event.type, thing)
    if order_id is None or kind is None:
        return ()
    currency = thing.currency.upper() if thing.currency else None
    about: dict[str, Any] = {
        "amount_minor": thing.amount if thing.amount_total is None else thing.amount_total,
        "currency": currency or facts.currency,
        "provider": PROVIDER,
    }
    if kind is EventType.CALLBACK:
        about["meaning"] = "unknown"  # tried in vain; the buyer may try again
    when = facts.when(event.created, received_ms)
    return (facts.event(kind, order_id, when, received_ms, **about),)


def _kind(written: str, thing: PaymentObject) -> EventType | None:
    if written == "checkout.session.completed":
        is_paid = thing.payment_status in ("paid", "no_payment_required")
        return EventType.PAID if is_paid else EventType.CREATED
    if written == "charge.refunded":
        return EventType.REFUNDED if thing.refunded else None
    return KINDS[written]


def _order_id(thing: PaymentObject) -> str | None:
    """The shop's own number of the order, if the shop told Stripe."""
    metadata = thing.metadata or {}
    named = [metadata.get(key) for key in _ORDER_KEYS]
    found = next((text for text in (*named, thing.client_reference_id) if text), None)
    return found if found and len(found) <= _ORDER_ID_CHARS_MAX else None
