"""Webhooks of WooCommerce: the order as it is when it is sent, told once.

A delivery that fails is not repeated, and pending ones of an order are merged; so what an order says
of itself counts, not what happened to it, and the REST API fills the gaps. After six failures in a
row the webhook is disabled. A webhook is saved only if its ping (a form, unsigned) is answered 200.

`X-WC-Webhook-Delivery-ID` is a hash of the webhook and the second: many deliveries share one.

Source: class-wc-webhook.php and wc-webhook-functions.php of WooCommerce.
"""

from __future__ import annotations

import re

import msgspec

from monitor.adapters.shops.proof import hmac_text, in_base64
from monitor.adapters.shops.push import Push, SecretForm, decoded, deleted, strange
from monitor.adapters.shops.woocommerce_orders import WooOrder, events_of
from monitor.model.events import EventType
from monitor.model.shops import Known, Precision, Pushed, RawRequest

SIGNATURE = "X-WC-Webhook-Signature"

_PING = re.compile(rb"webhook_id=\d{1,20}")
_RESOURCES = ("order", "action")

# Topics `action.…` say that something happened to an order, and neither when nor what it is now.
_ACTIONS = {
    "woocommerce_new_order": EventType.CREATED,
    "woocommerce_payment_complete": EventType.PAID,
    "woocommerce_order_status_completed": EventType.DELIVERED,
    "woocommerce_order_status_cancelled": EventType.CANCELLED,
    "woocommerce_order_status_refunded": EventType.REFUNDED,
    "woocommerce_order_fully_refunded": EventType.REFUNDED,
}


class _Happened(msgspec.Struct, frozen=True):
    """The body of a topic `action.…`; the argument is the id of an order."""

    action: str
    arg: int


class WooCommerce(Push):
    """Reads `order.*` and `action.*`."""

    KNOWN = (
        Known("created", Precision.SECOND, "date_created_gmt"),
        Known("paid", Precision.SECOND, "date_paid_gmt"),
        Known("delivered", Precision.SECOND, "date_completed_gmt: the merchant's word"),
        Known("cancelled", Precision.INFERRED, "date_modified_gmt"),
        Known("refunded", Precision.INFERRED, "date_modified_gmt"),
        Known("callback", Precision.MISSING, "the gateway's plugin keeps it to itself"),
    )
    PATIENCE_S = 0
    SECRET = SecretForm("WooCommerce › Settings › Advanced › Webhooks › Secret")

    def read(self, request: RawRequest) -> Pushed:
        """See ShopPush; the ping of a new webhook says nothing and needs no proof."""
        if not request.header(SIGNATURE) and _PING.fullmatch(request.body):
            return Pushed(())
        return super().read(request)

    def prove(self, request: RawRequest) -> None:
        """Check the MAC of the body."""
        hmac_text(self.secrets, request.body, [request.header(SIGNATURE)], in_base64)

    def said(self, request: RawRequest) -> Pushed:
        """The facts of the order; webhooks for products and customers say nothing here."""
        resource = request.header("X-WC-Webhook-Resource")
        if resource not in _RESOURCES:
            return strange("a webhook that is not about orders: choose a topic of orders")
        received_ms = request.received_ms
        if resource == "action":
            happened = decoded(request.body, _Happened)
            kind = _ACTIONS.get(happened.action)
            if kind is None:
                return Pushed(())
            return Pushed((self.facts.event(kind, str(happened.arg), None, received_ms),))
        if request.header("X-WC-Webhook-Event") == "deleted":
            order_id = deleted(request.body)
            gone = self.facts.event(
                EventType.CANCELLED, order_id, None, received_ms, reason="deleted"
            )
            return Pushed((gone,))
        return Pushed(events_of(decoded(request.body, WooOrder), self.facts, received_ms))
