"""Notifications of Paddle Billing: up to sixty attempts in three days, in any order.

    transaction.created ready billed     order.created
    transaction.paid completed           order.paid, when the payment was captured
    transaction.payment_failed           payment.callback: the buyer may try again
    transaction.canceled                 order.cancelled
    adjustment.* refund, approved, full  order.refunded; chargeback alike

The order is the transaction (`txn_…`): adjustments name nothing else. `completed` means that Paddle
is done with the money; nobody has delivered anything. Amounts are minor units, written as text.
"""

from __future__ import annotations

from typing import Any

import msgspec

from monitor.adapters.shops.facts import When
from monitor.adapters.shops.proof import timestamped
from monitor.adapters.shops.push import Push, SecretForm, decoded
from monitor.model.events import EventType, OrderEvent
from monitor.model.shops import Known, Precision, Pushed, RawRequest

PROVIDER = "paddle"

_MADE = ("transaction.created", "transaction.ready", "transaction.billed")
_PAID = ("transaction.paid", "transaction.completed")
_MONEY_BACK = ("refund", "chargeback")


class _Method(msgspec.Struct, frozen=True):
    """How it was paid, such as card, alipay, wechat_pay."""

    type: str | None = None


class _Payment(msgspec.Struct, frozen=True):
    """One attempt to pay."""

    status: str | None = None
    captured_at: str | None = None
    error_code: str | None = None
    method_details: _Method | None = None


class _Price(msgspec.Struct, frozen=True):
    """What is sold."""

    product_id: str | None = None


class _Item(msgspec.Struct, frozen=True):
    """One line of a transaction."""

    quantity: int = 1
    price: _Price | None = None


class _Totals(msgspec.Struct, frozen=True):
    """Sums of a transaction, in minor units."""

    total: int | None = None


class _Details(msgspec.Struct, frozen=True):
    """What a transaction adds up to."""

    totals: _Totals | None = None


class _Thing(msgspec.Struct, frozen=True):
    """Of a transaction or an adjustment what is read."""

    id: str
    created_at: str | None = None
    currency_code: str | None = None
    customer_id: str | None = None
    details: _Details | None = None
    payments: tuple[_Payment, ...] | None = None
    items: tuple[_Item, ...] | None = None
    transaction_id: str | None = None  # of an adjustment
    action: str | None = None
    type: str | None = None
    status: str | None = None


class _Envelope(msgspec.Struct, frozen=True):
    """A notification; `data` is looked into only where it is about an order."""

    event_type: str
    occurred_at: str
    data: msgspec.Raw


class Paddle(Push):
    """Reads transactions and adjustments."""

    KNOWN = (
        Known("created", Precision.EXACT, "created_at of the transaction"),
        Known("paid", Precision.EXACT, "captured_at of the payment"),
        Known("refunded", Precision.EXACT, "occurred_at of a full adjustment"),
        Known("cancelled", Precision.EXACT, "occurred_at"),
        Known("delivered", Precision.MISSING, "the shop knows"),
    )
    PATIENCE_S = 3 * 86_400
    SECRET = SecretForm(
        "Paddle › Developer Tools › Notifications › your destination › Secret key",
        r"pdl_[!-~]{8,}",
        "it begins with pdl_ntfset_",
    )

    def prove(self, request: RawRequest) -> None:
        """Check `ts=…;h1=…`, made within five minutes; while secrets rotate there are several h1."""
        timestamped(
            self.secrets, request, "Paddle-Signature",
            separator=";", time_name="ts", proof_name="h1", joint=b":",
        )  # fmt: skip

    def said(self, request: RawRequest) -> Pushed:
        """The fact that the notification tells; of customers, prices and subscriptions it is none."""
        told = decoded(request.body, _Envelope)
        is_adjusted = told.event_type in ("adjustment.created", "adjustment.updated")
        if not (is_adjusted or told.event_type.startswith("transaction.")):
            return Pushed(())
        thing = msgspec.json.decode(told.data, type=_Thing, strict=False)
        occurred = self.facts.when(told.occurred_at, request.received_ms)
        if is_adjusted:
            return Pushed(self._money_back(thing, occurred, request.received_ms))
        return Pushed(self._transaction(told.event_type, thing, occurred, request.received_ms))

    def _transaction(
        self, written: str, thing: _Thing, occurred: When | None, received_ms: int
    ) -> tuple[OrderEvent, ...]:
        about = self._attributes(thing)
        made = self.facts.when(thing.created_at, received_ms)
        created = self.facts.event(EventType.CREATED, thing.id, made, received_ms, **about)
        if written in _PAID:
            captured = [
                self.facts.when(one.captured_at, received_ms) for one in thing.payments or ()
            ]
            times = [when for when in captured if when is not None]
            paid = min(times, key=lambda when: when.time_ms) if times else occurred
            return (
                created,
                self.facts.event(EventType.PAID, thing.id, paid, received_ms, **about),
            )
        if written == "transaction.canceled":
            gone = self.facts.event(EventType.CANCELLED, thing.id, occurred, received_ms, **about)
            return (created, gone)
        if written == "transaction.payment_failed":
            failed = [one.error_code for one in thing.payments or () if one.status == "error"]
            tried = self.facts.event(
                EventType.CALLBACK, thing.id, occurred, received_ms,
                meaning="unknown", reason=failed[0] if failed else None, **about,
            )  # fmt: skip
            return (created, tried)
        return (created,) if written in _MADE else ()

    def _money_back(
        self, thing: _Thing, occurred: When | None, received_ms: int
    ) -> tuple[OrderEvent, ...]:
        """All of the money; a part of it leaves the order as it is."""
        is_done = thing.action in _MONEY_BACK and thing.status == "approved"
        if not is_done or thing.type != "full" or not thing.transaction_id:
            return ()
        back = self.facts.event(
            EventType.REFUNDED, thing.transaction_id, occurred, received_ms, key=thing.id,
            provider=PROVIDER, reason=thing.action,
        )  # fmt: skip
        return (back,)

    def _attributes(self, thing: _Thing) -> dict[str, Any]:
        items = thing.items or ()
        totals = thing.details.totals if thing.details else None
        sku = items[0].price.product_id if items and items[0].price else None
        return {
            "sku": sku,
            "quantity": sum(item.quantity for item in items) or None,
            "amount_minor": totals.total if totals else None,
            "currency": thing.currency_code or self.facts.currency,
            "provider": PROVIDER,
            "customer_hash": self.facts.customer(thing.customer_id),
        }
