"""What a shop did wrong with an order of its own, as far as its events show it."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Fault(StrEnum):
    """Each is told once per order; `docs/runbooks.md` says what to do."""

    DUPLICATE_KEY_SOLD = "duplicate_key_sold"  # the same goods for two orders
    WITHOUT_GOODS = "delivered_without_goods"  # an apology, or fewer units than ordered
    PAID_TWICE = "paid_twice"  # two payments with different numbers for one order
    PAID_LATE = "paid_late"  # the money came after the gateway or the shop had given the order up
    PAYMENT_DENIED = "payment_denied"  # a callback said paid; the gateway, asked, says it is not
    PAYMENT_WITHOUT_ORDER = (
        "payment_without_order"  # a callback for an order the shop does not have
    )
    CALLBACK_UNDELIVERED = "callback_undelivered"  # the shop does not take a callback of a payment
    BOUGHT_BUT_UNPAID = "bought_but_unpaid"  # handed to a supplier, and the shop knows no payment


class ShopFault(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="fault"):
    """A fault was found; `other` is the order that had the same goods first."""

    order_id: str
    fault: str
    at_ms: int
    other: str = ""
