"""Webhooks of Saleor: five repetitions within 310 s, none after a 3xx or 4xx.

    order_created          order.created
    order_confirmed        order.accepted
    order_fully_paid       order.paid
    order_fulfilled        delivery.delivered
    order_cancelled        order.cancelled
    order_expired          order.expired
    order_fully_refunded   order.refunded
    order_refunded         payment.callback: some of it is back

The body is a list of one order. Signed by the webhook's secret, else by the server's key: then
secret_file holds what stands at `/.well-known/jwks.json`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from monitor.adapters.shops.facts import When
from monitor.adapters.shops.proof import hmac_text, in_hex
from monitor.adapters.shops.proof_more import detached_jws
from monitor.adapters.shops.push import Push, SecretForm, decoded, strange
from monitor.model.events import EventType
from monitor.model.shops import Known, Precision, Pushed, RawRequest

SIGNATURE = "Saleor-Signature"

# The name of the event is in a header that nothing signs: the body must not contradict it.
_STATES = {
    EventType.DELIVERED: "fulfilled",
    EventType.CANCELLED: "canceled",
    EventType.EXPIRED: "expired",
}
_KINDS = {
    "order_created": EventType.CREATED,
    "order_confirmed": EventType.ACCEPTED,
    "order_fully_paid": EventType.PAID,
    "order_fulfilled": EventType.DELIVERED,
    "order_cancelled": EventType.CANCELLED,
    "order_expired": EventType.EXPIRED,
    "order_fully_refunded": EventType.REFUNDED,
    "order_refunded": EventType.CALLBACK,
}


class _Meta(msgspec.Struct, frozen=True):
    """When the body was made."""

    issued_at: str | None = None


class _Line(msgspec.Struct, frozen=True):
    """What was ordered."""

    product_sku: str | None = None
    quantity: int | None = None


class _Payment(msgspec.Struct, frozen=True):
    """A payment."""

    gateway: str | None = None
    captured_amount: Decimal | None = None


class _Fulfillment(msgspec.Struct, frozen=True):
    """What was handed over, and when."""

    created: str | None = None


class _Order(msgspec.Struct, frozen=True):
    """Of an order what is read."""

    id: str
    number: str | None = None
    status: str | None = None
    created: str | None = None
    total_gross_amount: str | None = None
    currency: str | None = None
    user_email: str | None = None
    lines: list[_Line] = []
    payments: list[_Payment] = []
    fulfillments: list[_Fulfillment] = []
    meta: _Meta = _Meta()


class Saleor(Push):
    """Reads orders."""

    KNOWN = (
        Known("created", Precision.EXACT, "created"),
        Known("paid", Precision.INFERRED, "meta.issued_at of order_fully_paid"),
        Known("delivered", Precision.EXACT, "fulfillments[].created, the last part"),
        Known("refunded", Precision.INFERRED, "meta.issued_at"),
    )
    PATIENCE_S = 310
    SECRET = SecretForm(
        "the webhook's secret key, or the JSON at /.well-known/jwks.json", r"(?s).{8,}"
    )

    def prove(self, request: RawRequest) -> None:
        """Check the webhook's HMAC, or the server's JWS."""
        if "." in request.header(SIGNATURE):
            detached_jws(self.secrets, request, SIGNATURE)
        else:
            shared = [one for one in self.secrets if not one.reveal().lstrip().startswith("{")]
            hmac_text(shared, request.body, [request.header(SIGNATURE)], in_hex)

    def said(self, request: RawRequest) -> Pushed:
        """The fact that the event tells; of drafts, products and customers there are none."""
        kind = _KINDS.get(request.header("Saleor-Event"))
        if kind is None:
            return Pushed(())
        listed = decoded(request.body, list[_Order])
        if len(listed) != 1:
            return strange("a body that is not about one order")
        (order,), received_ms = listed, request.received_ms
        if _contradicts(order, kind):
            return strange("an event that its body contradicts")
        about, order_id = self._about(order), order.number or order.id
        if kind is EventType.DELIVERED:
            parts = [self.facts.when(one.created, received_ms) for one in order.fulfillments]
            done = max((one for one in parts if one), key=lambda one: one.time_ms, default=None)
            when = done or self._issued(order, received_ms)
        elif kind is EventType.CREATED:
            when = self.facts.when(order.created, received_ms)
        else:
            when = self._issued(order, received_ms)
        if kind is EventType.CALLBACK:
            about["meaning"] = "refunded"
        return Pushed((self.facts.event(kind, order_id, when, received_ms, **about),))

    def _issued(self, order: _Order, received_ms: int) -> When | None:
        """When the body was made: near to the fact, and another time on every attempt."""
        made = self.facts.when(order.meta.issued_at, received_ms)
        return None if made is None else When(made.time_ms, is_inferred=True)

    def _about(self, order: _Order) -> dict[str, Any]:
        line = order.lines[0] if order.lines else _Line()
        return {
            "sku": line.product_sku,
            "quantity": line.quantity,
            "amount_minor": self.facts.minor(order.total_gross_amount, order.currency),
            "currency": order.currency or self.facts.currency,
            "provider": next((one.gateway for one in order.payments if one.gateway), None),
            "customer_hash": self.facts.customer(order.user_email),
        }


def _contradicts(order: _Order, kind: EventType) -> bool:
    """Whether a signed body of another event stands under this name."""
    if kind is EventType.PAID:
        captured = [
            one.captured_amount for one in order.payments if one.captured_amount is not None
        ]
        return bool(captured) and not any(captured)
    state = _STATES.get(kind)
    return state is not None and order.status is not None and order.status != state
