"""A shop that signs as Standard Webhooks asks, with our names of events inside.

    {"type": "order.paid", "timestamp": "2026-01-05T10:00:00Z", "data": {"order_id": "A1", …}}

`webhook-id` is the same on every attempt and names the event. What is in `data` besides the fields of
an event is left out; keys under `goods` of a delivery become digests.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from monitor.adapters.shops.proof import PUBLIC_PREFIX, standard_webhooks
from monitor.adapters.shops.push import Push, SecretForm, decoded, strange
from monitor.model.events import EventType
from monitor.model.shops import Known, Precision, Pushed, RawRequest

_TYPES = {kind.value: kind for kind in EventType}


class _Fields(msgspec.Struct, frozen=True):
    """The fields of an event, as in `POST /v1/events`."""

    order_id: str | None = None
    meaning: Literal["paid", "waiting", "expired", "refunded", "unknown", ""] | None = None
    outcome: Literal["ok", "rejected", ""] | None = None
    takeover_id: str | None = None
    channel: str | None = None
    sku: str | None = None
    quantity: int | None = None
    amount_minor: int | None = None
    currency: str | None = None
    provider: str | None = None
    customer_tier: Literal["normal", "vip", ""] | None = None
    speed: Literal["express", "normal", "economy", ""] | None = None
    fulfilment: Literal["auto", "manual", ""] | None = None
    region: str | None = None
    attempt: int | None = None
    reason: str | None = None
    customer_hash: str | None = None
    goods: str | list[str] | None = None


class _Message(msgspec.Struct, frozen=True):
    """The body."""

    type: str
    timestamp: str | None = None
    data: _Fields = _Fields()


_PLAIN = tuple(
    name
    for name in _Fields.__struct_fields__
    if name not in ("order_id", "customer_hash", "goods", "quantity")
)


class StandardWebhooks(Push):
    """Reads messages that carry our own events."""

    KNOWN = (
        Known("created", Precision.EXACT, "timestamp of order.created"),
        Known("paid", Precision.EXACT, "timestamp of order.paid"),
        Known("delivered", Precision.EXACT, "timestamp of delivery.delivered"),
        Known("refunded", Precision.EXACT, "timestamp of order.refunded"),
    )
    PATIENCE_S = 0  # the standard recommends repetitions and asks for none
    SECRET = SecretForm(
        "the sender's settings of the webhook",
        rf"whsec_[A-Za-z0-9+/]{{22,}}={{0,2}}|{PUBLIC_PREFIX}[A-Za-z0-9+/]{{43}}=|(?!wh(sec|pk)_).{{16,}}",
        f"whsec_ and base64, {PUBLIC_PREFIX} and the public key, or 16 characters and more",
    )

    def prove(self, request: RawRequest) -> None:
        """Check `v1` or `v1a`, made within five minutes."""
        standard_webhooks(self.secrets, request)

    def said(self, request: RawRequest) -> Pushed:
        """The event of the message; types that are not ours say nothing."""
        message = decoded(request.body, _Message)
        kind, fields = _TYPES.get(message.type), message.data
        if kind is None:
            return Pushed(())
        if kind is not EventType.HEARTBEAT and not fields.order_id:
            return strange("an event without data.order_id")
        received_ms = request.received_ms
        when = self.facts.when(message.timestamp, received_ms)
        about: dict[str, Any] = {name: getattr(fields, name) or None for name in _PLAIN}
        about["is_unique"] = kind is EventType.HEARTBEAT
        about["customer_hash"] = self.facts.customer(fields.customer_hash)
        order_id, key = fields.order_id or "", request.header("webhook-id")[-64:]
        if kind is EventType.DELIVERED:
            event = self.facts.delivered(
                order_id,
                when,
                received_ms,
                fields.goods,
                quantity=fields.quantity,
                key=key,
                **about,
            )
        else:
            event = self.facts.event(
                kind, order_id, when, received_ms, key=key, quantity=fields.quantity, **about
            )
        return Pushed((event,))
