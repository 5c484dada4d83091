"""Webhooks of Lemon Squeezy: a few repetitions within minutes.

    order_created         order.created, and order.paid if it is
    order_refunded        order.refunded once all of it is back; else payment.callback
    license_key_created   delivery.delivered: Lemon Squeezy has given the buyer the key

There is no id and no time of the event, only those of what it is about. The key itself becomes a
digest here and goes nowhere.
"""

from __future__ import annotations

from typing import Any

import msgspec

from monitor.adapters.shops.proof import hmac_text, in_hex
from monitor.adapters.shops.push import Push, SecretForm, decoded
from monitor.model.events import EventType, OrderEvent
from monitor.model.shops import Known, Precision, Pushed, RawRequest

PROVIDER = "lemonsqueezy"

_PAID = ("paid", "refunded", "partial_refund")


class _Meta(msgspec.Struct, frozen=True):
    """What kind of event it is."""

    event_name: str


class _Line(msgspec.Struct, frozen=True):
    """The first thing that was ordered."""

    product_id: int | None = None
    quantity: int | None = None


class _Attributes(msgspec.Struct, frozen=True):
    """Of an order or a key what is read."""

    status: str | None = None
    currency: str | None = None
    total: int | None = None  # minor units
    user_email: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    refunded_at: str | None = None
    first_order_item: _Line | None = None
    order_id: int | None = None  # of a key
    product_id: int | None = None
    key: str | None = None


class _Thing(msgspec.Struct, frozen=True):
    """What the event is about."""

    id: str
    attributes: _Attributes


class _Told(msgspec.Struct, frozen=True):
    """The body; what it is about is looked into only where that is an order or a key."""

    meta: _Meta
    data: msgspec.Raw


class LemonSqueezy(Push):
    """Reads orders and licence keys."""

    KNOWN = (
        Known("created", Precision.EXACT, "created_at"),
        Known("paid", Precision.EXACT, "created_at: an order is made when it is paid"),
        Known(
            "delivered", Precision.EXACT, "created_at of the licence key; of files nothing is told"
        ),
        Known("refunded", Precision.EXACT, "refunded_at"),
    )
    PATIENCE_S = 155  # three repetitions after 5, 25 and 125 s
    SECRET = SecretForm("Lemon Squeezy › Settings › Webhooks › Signing secret")

    def prove(self, request: RawRequest) -> None:
        """Check the MAC of the body."""
        hmac_text(self.secrets, request.body, [request.header("X-Signature")], in_hex)

    def said(self, request: RawRequest) -> Pushed:
        """The facts that the event tells; of subscriptions and affiliates there are none."""
        told, received_ms = decoded(request.body, _Told), request.received_ms
        name = told.meta.event_name
        if name not in ("order_created", "order_refunded", "license_key_created"):
            return Pushed(())
        thing = msgspec.json.decode(told.data, type=_Thing, strict=False)
        if name == "license_key_created":
            return Pushed(self._handed_over(thing, received_ms))
        return Pushed(self._order(thing, received_ms, is_back=name == "order_refunded"))

    def _order(self, thing: _Thing, received_ms: int, *, is_back: bool) -> tuple[OrderEvent, ...]:
        said, about = thing.attributes, self._about(thing.attributes)
        made = self.facts.when(said.created_at, received_ms)
        events = [self.facts.event(EventType.CREATED, thing.id, made, received_ms, **about)]
        if said.status in _PAID:
            events.append(self.facts.event(EventType.PAID, thing.id, made, received_ms, **about))
        if is_back:
            is_all = said.status == "refunded"
            kind = EventType.REFUNDED if is_all else EventType.CALLBACK
            when = self.facts.when(said.refunded_at or said.updated_at, received_ms)
            meaning = None if is_all else "refunded"
            events.append(
                self.facts.event(kind, thing.id, when, received_ms, meaning=meaning, **about)
            )
        return tuple(events)

    def _handed_over(self, thing: _Thing, received_ms: int) -> tuple[OrderEvent, ...]:
        said = thing.attributes
        if said.order_id is None:
            return ()
        when = self.facts.when(said.created_at, received_ms)
        handed = self.facts.delivered(
            str(said.order_id), when, received_ms, said.key, key=thing.id, provider=PROVIDER
        )
        return (handed,)

    def _about(self, said: _Attributes) -> dict[str, Any]:
        line = said.first_order_item or _Line()
        return {
            "sku": str(line.product_id) if line.product_id else None,
            "quantity": line.quantity,
            "amount_minor": said.total,
            "currency": said.currency or self.facts.currency,
            "provider": PROVIDER,
            "customer_hash": self.facts.customer(said.user_email),
        }
