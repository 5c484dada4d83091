"""Callbacks of dujiao-next to whoever ordered by its Open API: repeated for 510 s, then never.

    order.fulfilled          delivery.delivered
    order.status_changed     by `status`: order.paid, order.accepted, delivery.delivered,
                             order.cancelled, order.refunded

The body is made anew for each attempt, with another timestamp; so only the delivery's own time names
an event. The goods become digests here and go nowhere. Retail orders are never told: read the database.
"""

from __future__ import annotations

import msgspec

from monitor.adapters.shops.facts import When
from monitor.adapters.shops.proof_more import signed_path
from monitor.adapters.shops.push import Push, SecretForm, decoded, strange
from monitor.model.events import EventType, OrderEvent
from monitor.model.shops import Known, Precision, Pushed, RawReply, RawRequest

SIGNED_PATH = "/api/v1/upstream/callback"  # whatever the address really is
WINDOW_S = 60
TAKEN = RawReply(body=b'{"ok":true}', content_type="application/json")  # anything else is a no

_KINDS = {
    "paid": EventType.PAID,
    "fulfilling": EventType.ACCEPTED,
    "delivered": EventType.DELIVERED,
    "completed": EventType.DELIVERED,
    "canceled": EventType.CANCELLED,
    "refunded": EventType.REFUNDED,
}


class _Fulfillment(msgspec.Struct, frozen=True):
    """What was handed over, and when."""

    status: str | None = None
    payload: str | None = None
    delivered_at: str | None = None


class _Told(msgspec.Struct, frozen=True):
    """The body."""

    event: str
    order_no: str | None = None
    downstream_order_no: str | None = None
    status: str | None = None
    fulfillment: _Fulfillment | None = None
    timestamp: int | None = None


class DujiaoNextHook(Push):
    """Reads what became of an order at the upstream shop."""

    KNOWN = (
        Known("delivered", Precision.EXACT, "fulfillment.delivered_at"),
        Known("paid", Precision.INFERRED, "timestamp"),
        Known("cancelled", Precision.INFERRED, "timestamp"),
        Known("refunded", Precision.INFERRED, "timestamp"),
    )
    PATIENCE_S = 510
    SECRET = SecretForm(
        "the secret of the API key that placed the orders", r".{8,}", "the API secret"
    )

    def prove(self, request: RawRequest) -> None:
        """Check the HMAC, made within a minute."""
        signed_path(
            self.secrets,
            request,
            path=SIGNED_PATH,
            time_header="Dujiao-Next-Timestamp",
            proof_header="Dujiao-Next-Signature",
            window_s=WINDOW_S,
        )

    def said(self, request: RawRequest) -> Pushed:
        """The fact of the callback, and the only words that count as a yes."""
        told = decoded(request.body, _Told)
        order_id = told.downstream_order_no or told.order_no
        if not order_id:
            return strange("a callback without an order", TAKEN)
        status = "delivered" if told.event == "order.fulfilled" else told.status or ""
        kind = _KINDS.get(status)
        if kind is None:
            return Pushed((), TAKEN)
        return Pushed((self._event(told, kind, order_id, request.received_ms),), TAKEN)

    def _event(self, told: _Told, kind: EventType, order_id: str, received_ms: int) -> OrderEvent:
        sent = self.facts.when(told.timestamp, received_ms)
        when = When(sent.time_ms if sent else received_ms, is_inferred=True)
        if kind is not EventType.DELIVERED:
            return self.facts.event(kind, order_id, when, received_ms)
        handed = told.fulfillment or _Fulfillment()
        own = self.facts.when(handed.delivered_at, received_ms)
        return self.facts.delivered(order_id, own or when, received_ms, handed.payload)
