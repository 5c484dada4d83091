"""`api_hook` of dujiaoka: sent once more at most, unsigned, for good and bad orders alike.

    any call    order.accepted: somebody has paid; what became of it only the database knows

There is no status, no time and no id, and the cards stand in it in clear: they are never even read
from the body. Whoever knows the address can send it, so the address carries a token, and it is no
evidence of a payment.
"""

from __future__ import annotations

import msgspec

from monitor.adapters.shops.push import decoded
from monitor.adapters.shops.unsigned import UnsignedPush, word_in_address
from monitor.model.events import EventType
from monitor.model.shops import Known, Precision, Pushed, RawRequest


class _Told(msgspec.Struct, frozen=True):
    """Of the body what is read; the cards are not."""

    order_sn: str
    email: str | None = None
    actual_price: str | None = None
    good_id: int | None = None


class DujiaokaHook(UnsignedPush):
    """Reads that an order was paid, in whatever state it is."""

    KNOWN = (
        Known("accepted", Precision.INFERRED, "arrival"),
        Known("paid", Precision.MISSING, "the call is unsigned; the database says"),
        Known("delivered", Precision.MISSING, "good and bad orders are told alike"),
    )
    PATIENCE_S = 0  # repeated once, at once
    SECRET = word_in_address("the ?token=… that you put behind the address in api_hook")

    def said(self, request: RawRequest) -> Pushed:
        """The order is known to be paid by the shop's word, and no more."""
        told = decoded(request.body, _Told)
        event = self.facts.event(
            EventType.ACCEPTED, told.order_sn, None, request.received_ms,
            sku=str(told.good_id) if told.good_id is not None else None,
            amount_minor=self.facts.minor(told.actual_price),
            currency=self.facts.currency,
            customer_hash=self.facts.customer(told.email),
        )  # fmt: skip
        return Pushed((event,))
