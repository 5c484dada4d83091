"""What an order of Shopify says, in a webhook's body and in the Admin API's answer alike.

    created_at                            order.created
    financial_status paid and beyond      order.paid: an order does not say when, so the change counts
    fulfillment_status fulfilled          delivery.delivered, when the last fulfillment was made
    cancelled_at                          order.cancelled
    financial_status refunded             order.refunded, when the last refund was made

A time of payment can only be later than the truth here, never after the goods were handed over; the
webhook of the payment knows it better. Only the fields named here are read.
"""

from __future__ import annotations

from typing import Any

import msgspec

from monitor.adapters.shops.facts import Facts, When
from monitor.model.events import EventType, OrderEvent

PAID = ("paid", "partially_refunded", "refunded")


class LineItem(msgspec.Struct, frozen=True):
    """One line of the order."""

    sku: str | None = None
    product_id: int | None = None
    quantity: int = 1


class Fulfillment(msgspec.Struct, frozen=True):
    """Goods handed over; `success` is the status of one that stands."""

    created_at: str | None = None
    status: str | None = None


class Refund(msgspec.Struct, frozen=True):
    """Money given back."""

    created_at: str | None = None


class ShopifyOrder(msgspec.Struct, frozen=True):
    """Of an order what is read; the API is asked for these fields and no others."""

    id: int
    created_at: str | None = None
    updated_at: str | None = None
    cancelled_at: str | None = None
    currency: str | None = None
    total_price: str | None = None
    financial_status: str | None = None
    fulfillment_status: str | None = None
    payment_gateway_names: tuple[str, ...] = ()
    contact_email: str | None = None
    email: str | None = None
    line_items: tuple[LineItem, ...] = ()
    fulfillments: tuple[Fulfillment, ...] = ()
    refunds: tuple[Refund, ...] = ()


def events_of(order: ShopifyOrder, facts: Facts, received_ms: int) -> tuple[OrderEvent, ...]:
    """The facts of an order as it is now; the same whoever brought it, so that they deduplicate.

    Raises: InputError `bad_time` for a date that is none.
    """
    order_id, about = str(order.id), attributes(order, facts)
    changed = facts.when(order.updated_at, received_ms)
    handed = _last(
        [one.created_at for one in order.fulfillments if one.status == "success"],
        facts,
        received_ms,
    )
    is_delivered = order.fulfillment_status == "fulfilled"
    happened: list[tuple[EventType, When | None]] = [
        (EventType.CREATED, facts.when(order.created_at, received_ms))
    ]
    if order.financial_status in PAID:
        known = [when.time_ms for when in (changed, handed) if when is not None]
        happened.append((EventType.PAID, When(min(known), is_bound=True) if known else None))
    if is_delivered:
        happened.append((EventType.DELIVERED, handed or _bound(changed)))
    if order.cancelled_at:
        happened.append((EventType.CANCELLED, facts.when(order.cancelled_at, received_ms)))
    if order.financial_status == "refunded":
        refunded = _last([one.created_at for one in order.refunds], facts, received_ms)
        happened.append((EventType.REFUNDED, refunded or _bound(changed)))
    return tuple(facts.event(kind, order_id, when, received_ms, **about) for kind, when in happened)


def attributes(order: ShopifyOrder, facts: Facts) -> dict[str, Any]:
    """What every event of the order says about it."""
    first = order.line_items[0] if order.line_items else LineItem()
    quantity = sum(line.quantity for line in order.line_items)
    return {
        "sku": first.sku or (str(first.product_id) if first.product_id else None),
        "quantity": quantity if quantity > 0 else None,
        "amount_minor": facts.minor(order.total_price, order.currency),
        "currency": order.currency or facts.currency,
        "provider": order.payment_gateway_names[0] if order.payment_gateway_names else None,
        "customer_hash": facts.customer(order.contact_email or order.email),
    }


def _last(written: list[str | None], facts: Facts, received_ms: int) -> When | None:
    times = [when for when in (facts.when(text, received_ms) for text in written) if when]
    return max(times, key=lambda when: when.time_ms) if times else None


def _bound(when: When | None) -> When | None:
    return None if when is None else When(when.time_ms, is_bound=True)
