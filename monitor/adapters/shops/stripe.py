"""Webhooks of Stripe: events in any order, more than once, for three days.

Every attempt is signed anew, with its time. What an event means is in `stripe_events`.
"""

from __future__ import annotations

from monitor.adapters.shops.proof import timestamped
from monitor.adapters.shops.push import Push, SecretForm, decoded, strange
from monitor.adapters.shops.stripe_events import KINDS, StripeEvent, events_of
from monitor.model.shops import Known, Precision, Pushed, RawRequest

# Of these some are no fact about an order: part of the money is back.
_PARTIAL = "charge.refunded"


class Stripe(Push):
    """Reads events of checkout sessions, payment intents and charges."""

    KNOWN = (
        Known(
            "created", Precision.SECOND, "checkout.session.completed of a payment that takes days"
        ),
        Known("paid", Precision.SECOND, "created of the event"),
        Known("refunded", Precision.SECOND, "charge.refunded, once all of it is back"),
        Known("callback", Precision.SECOND, "tries to pay that failed, expired or were given up"),
        Known("delivered", Precision.MISSING, "the shop knows"),
    )
    PATIENCE_S = 3 * 86_400
    SECRET = SecretForm(
        "Stripe Dashboard › Developers › Webhooks › your endpoint › Signing secret",
        r"whsec_[!-~]{8,}",
        "it begins with whsec_; an API key (sk_, rk_) is another thing",
    )

    def prove(self, request: RawRequest) -> None:
        """Check `t=…,v1=…`, made within five minutes."""
        timestamped(
            self.secrets, request, "Stripe-Signature",
            separator=",", time_name="t", proof_name="v1", joint=b".",
        )  # fmt: skip

    def said(self, request: RawRequest) -> Pushed:
        """The fact that the event tells."""
        event = decoded(request.body, StripeEvent)
        events = events_of(event, self.facts, request.received_ms)
        if not events and event.type in KINDS and event.type != _PARTIAL:
            return strange("a payment that names no order: give it metadata.order_id")
        return Pushed(events)
