"""Webhooks of Shopify: the order as it was at the event, repeated for four hours.

    orders/paid                          order.paid, when Shopify says that it was triggered
    orders/… else                        what the order says of itself
    orders/delete                        order.cancelled
    refunds/create                       payment.callback: money is back, perhaps not all of it
    fulfillment_events/create            an attempt, one that failed, or a delivery that was seen

The topic and its time are in headers, which the signature does not cover: an order is deleted only
if the body is nothing but its id; the time is believed from the making of the order up to now. A subscription is deleted after eight failures in a row.
"""

from __future__ import annotations

import msgspec

from monitor.adapters.shops.facts import When
from monitor.adapters.shops.proof import hmac_text, in_base64
from monitor.adapters.shops.push import Push, SecretForm, decoded, deleted
from monitor.adapters.shops.shopify_orders import PAID, ShopifyOrder, attributes, events_of
from monitor.model.errors import InputError
from monitor.model.events import EventType, OrderEvent
from monitor.model.shops import Known, Precision, Pushed, RawRequest

# By the status of a fulfillment event; others say nothing about the buyer's wait.
_HANDLED = {
    "in_transit": EventType.ATTEMPTED,
    "out_for_delivery": EventType.ATTEMPTED,
    "attempted_delivery": EventType.ATTEMPT_FAILED,
    "failure": EventType.ATTEMPT_FAILED,
    "delivered": EventType.VERIFIED,  # the handing over itself is told by orders/fulfilled
}


class _Handled(msgspec.Struct, frozen=True):
    """The body of `fulfillment_events/create`."""

    id: int
    order_id: int
    status: str | None = None
    happened_at: str | None = None


class _Refund(msgspec.Struct, frozen=True):
    """The body of `refunds/create`; its note, its line items and its transactions are not read.

    That it has transactions tells it from a fulfillment under the topic of a refund.
    """

    id: int
    order_id: int
    transactions: msgspec.Raw
    created_at: str | None = None


class Shopify(Push):
    """Reads topics of orders, refunds and fulfillment events."""

    KNOWN = (
        Known("created", Precision.SECOND, "created_at"),
        Known("paid", Precision.EXACT, "X-Shopify-Triggered-At of orders/paid; else updated_at"),
        Known("delivered", Precision.SECOND, "created_at of the last fulfillment"),
        Known("cancelled", Precision.SECOND, "cancelled_at"),
        Known("refunded", Precision.SECOND, "created_at of the last refund, by orders/updated"),
    )
    PATIENCE_S = 4 * 3_600
    SECRET = SecretForm(
        "Shopify admin › Settings › Notifications › Webhooks, at the end of the page; of an app "
        "its client secret"
    )

    def prove(self, request: RawRequest) -> None:
        """Check the MAC of the body."""
        hmac_text(self.secrets, request.body, [request.header("X-Shopify-Hmac-Sha256")], in_base64)

    def said(self, request: RawRequest) -> Pushed:
        """The facts that the topic is about; other topics say nothing here."""
        topic = request.header("X-Shopify-Topic")
        if topic == "fulfillment_events/create":
            return Pushed(self._handled(request))
        if topic == "refunds/create":
            return Pushed((self._money_back(request),))
        if topic == "orders/delete":
            order_id = deleted(request.body)
            gone = self.facts.event(
                EventType.CANCELLED, order_id, None, request.received_ms, reason="deleted"
            )
            return Pushed((gone,))
        if topic.startswith("orders/"):
            return Pushed(self._order(request, is_paid=topic == "orders/paid"))
        return Pushed(())

    def _order(self, request: RawRequest, *, is_paid: bool) -> tuple[OrderEvent, ...]:
        order, received_ms = decoded(request.body, ShopifyOrder), request.received_ms
        events = events_of(order, self.facts, received_ms)
        triggered = self._triggered(request, order) if is_paid else None
        if triggered is None or order.financial_status not in PAID:
            return events
        paid = self.facts.event(
            EventType.PAID, str(order.id), triggered, received_ms, **attributes(order, self.facts)
        )
        return (*(event for event in events if event.type != EventType.PAID), paid)

    def _triggered(self, request: RawRequest, order: ShopifyOrder) -> When | None:
        """When Shopify says that it happened, if that can be."""
        try:
            when = self.facts.when(request.header("X-Shopify-Triggered-At"), request.received_ms)
        except InputError:
            return None
        made = self.facts.when(order.created_at, request.received_ms)
        if when is None or when.is_inferred or (made is not None and when.time_ms < made.time_ms):
            return None
        return when

    def _money_back(self, request: RawRequest) -> OrderEvent:
        refund = decoded(request.body, _Refund)
        return self.facts.event(
            EventType.CALLBACK,
            str(refund.order_id),
            self.facts.when(refund.created_at, request.received_ms),
            request.received_ms,
            key=str(refund.id),
            meaning="refunded",
        )

    def _handled(self, request: RawRequest) -> tuple[OrderEvent, ...]:
        handled = decoded(request.body, _Handled)
        kind = _HANDLED.get(handled.status or "")
        if kind is None:
            return ()
        event = self.facts.event(
            kind,
            str(handled.order_id),
            self.facts.when(handled.happened_at, request.received_ms),
            request.received_ms,
            key=str(handled.id),
            reason=handled.status if kind is EventType.ATTEMPT_FAILED else None,
        )
        return (event,)
