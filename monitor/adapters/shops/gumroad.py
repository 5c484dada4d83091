"""Pings of Gumroad: a form without any signature, repeated for 14 minutes.

    sale        order.created, order.paid, delivery.delivered: Gumroad hands over at once
    refund      order.refunded

Whoever knows the address can send them, so the address carries a token, and nothing here leaves an
order open that money could move for. The licence key becomes a digest here and goes nowhere.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from monitor.adapters.shops.push import strange
from monitor.adapters.shops.unsigned import UnsignedPush, word_in_address
from monitor.model.events import EventType
from monitor.model.shops import Known, Precision, Pushed, RawRequest

PROVIDER = "gumroad"
_FIELDS_MAX = 500
_READ = (
    "resource_name", "order_number", "sale_id", "sale_timestamp", "product_id", "quantity",
    "price", "currency", "email", "refunded", "license_key",
)  # fmt: skip


class Gumroad(UnsignedPush):
    """Reads sales and refunds."""

    KNOWN = (
        Known("created", Precision.EXACT, "sale_timestamp"),
        Known("paid", Precision.EXACT, "sale_timestamp: a sale is made when it is paid"),
        Known("delivered", Precision.INFERRED, "sale_timestamp: Gumroad hands over at once"),
        Known("refunded", Precision.INFERRED, "arrival"),
    )
    PATIENCE_S = 840
    SECRET = word_in_address("the ?token=… that you put behind the address")

    def said(self, request: RawRequest) -> Pushed:
        """The facts of a sale; of subscriptions and disputes there are none."""
        text = request.body.decode("utf-8", "replace")
        try:
            pairs = parse_qsl(text, max_num_fields=_FIELDS_MAX)
        except ValueError:
            return strange("a form with too many fields")
        said = {name: value for name, value in reversed(pairs) if name in _READ}
        order_id = said.get("order_number") or said.get("sale_id")
        if not order_id:
            return strange("a ping without order_number and sale_id")
        name, received_ms = said.get("resource_name", "sale"), request.received_ms
        about = self._about(said)
        if name == "refund" or said.get("refunded") == "true":
            return Pushed(
                (self.facts.event(EventType.REFUNDED, order_id, None, received_ms, **about),)
            )
        if name != "sale":
            return Pushed(())
        when = self.facts.when(said.get("sale_timestamp"), received_ms)
        make = self.facts.event
        return Pushed(
            (
                make(EventType.CREATED, order_id, when, received_ms, **about),
                make(EventType.PAID, order_id, when, received_ms, **about),
                self.facts.delivered(order_id, when, received_ms, said.get("license_key"), **about),
            )
        )

    def _about(self, said: dict[str, str]) -> dict[str, Any]:
        price, quantity = said.get("price", ""), said.get("quantity", "")
        currency = said.get("currency", "").upper()
        return {
            "sku": said.get("product_id"),
            "quantity": int(quantity) if _is_number(quantity) else None,
            "amount_minor": int(price) if _is_number(price) else None,
            "currency": currency or self.facts.currency,
            "provider": PROVIDER,
            "customer_hash": self.facts.customer(said.get("email")),
        }


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 12
