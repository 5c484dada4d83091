"""What an order of WooCommerce says, in a webhook's body and in the REST API's answer alike.

    date_created_gmt    order.created      not for a draft of the checkout
    date_paid_gmt       order.paid
    date_completed_gmt  delivery.delivered   the merchant's word; for downloads WooCommerce's own
    cancelled refunded  order.cancelled, order.refunded: they have no time but that of the change
    failed              order.failed if it was paid; else the buyer may simply pay again

Only the fields named here are read: keys that plugins put into meta data are never decoded. Times
with `_gmt` are UTC without saying so; their twins are local to the shop.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from monitor.adapters.shops.facts import Facts, When
from monitor.model.events import EventType, OrderEvent

_DRAFTS = ("auto-draft", "checkout-draft")


class Billing(msgspec.Struct, frozen=True):
    """Of the buyer only what becomes a keyed name."""

    email: str | None = None


class LineItem(msgspec.Struct, frozen=True):
    """One line of the order; a quantity may be a fraction of something sold by weight."""

    product_id: int | None = None
    sku: str | None = None
    quantity: int | float = 1


class WooOrder(msgspec.Struct, frozen=True):
    """Of a REST v3 order what is read; the API is asked for these fields and no others."""

    id: int
    status: str
    currency: str | None = None
    total: str | None = None
    date_created_gmt: str | None = None
    date_modified_gmt: str | None = None
    date_paid_gmt: str | None = None
    date_completed_gmt: str | None = None
    payment_method: str | None = None
    billing: Billing = Billing()
    line_items: tuple[LineItem, ...] = ()


def events_of(order: WooOrder, facts: Facts, received_ms: int) -> tuple[OrderEvent, ...]:
    """The facts of an order as it is now; the same whoever brought it, so that they deduplicate.

    Raises: InputError `bad_time` for a date that is none.
    """
    order_id, about = str(order.id), _attributes(order, facts)
    changed = _utc(order.date_modified_gmt, facts, received_ms)
    changed = When(changed.time_ms, is_bound=True) if changed else None
    paid = _utc(order.date_paid_gmt, facts, received_ms)
    happened: list[tuple[EventType, When | None]] = []
    if order.status not in _DRAFTS:
        happened.append(
            (EventType.CREATED, _utc(order.date_created_gmt, facts, received_ms) or changed)
        )
    if paid is not None:
        happened.append((EventType.PAID, paid))
    completed = _utc(order.date_completed_gmt, facts, received_ms)
    if completed is not None or order.status == "completed":
        happened.append((EventType.DELIVERED, completed or changed))
    match order.status:
        case "cancelled" | "trash":
            happened.append((EventType.CANCELLED, changed))
        case "refunded":
            happened.append((EventType.REFUNDED, changed))
        case "failed" if paid is not None:
            happened.append((EventType.FAILED, changed))
    return tuple(facts.event(kind, order_id, when, received_ms, **about) for kind, when in happened)


def _attributes(order: WooOrder, facts: Facts) -> dict[str, Any]:
    quantity = math.ceil(sum(line.quantity for line in order.line_items))
    first = order.line_items[0] if order.line_items else LineItem()
    currency = order.currency.upper() if order.currency else None
    return {
        "sku": first.sku or (str(first.product_id) if first.product_id else None),
        "quantity": quantity if quantity > 0 else None,
        "amount_minor": facts.minor(order.total, currency),
        "currency": currency or facts.currency,
        "provider": order.payment_method or None,
        "customer_hash": facts.customer(order.billing.email),
    }


def _utc(written: str | None, facts: Facts, received_ms: int) -> When | None:
    return facts.when(f"{written}Z" if written else None, received_ms)
