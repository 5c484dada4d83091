"""What one order of dujiao-next says: its parts, payments and attempts, put together.

An order has a part for each of its goods, or is its own only part. The order of the buyer is named
after the number that the buyer was given; parts have numbers of their own that nobody sees.
"""

from __future__ import annotations

from typing import Any

from monitor.adapters.shops.facts import Facts, When
from monitor.model.events import EventType, OrderEvent

Row = dict[str, Any]

_HANDED = "delivered"  # of a fulfillment
_DONE = ("delivered", "completed")  # of an order that has no fulfillment, as old ones may
_CLOSED = ("canceled", "refunded")
_FAILED_ATTEMPTS = ("failed", "rejected", "canceled")
_MEANING = {"success": "paid", "expired": "expired", "pending": "waiting", "initiated": "waiting"}


def events_of(rows: list[Row], facts: Facts, now_ms: int) -> tuple[OrderEvent, ...]:
    """All facts of an order; `rows` are its parts, each with an item, an attempt and a payment.

    Raises: InputError for a time that is none.
    """
    order = next((row for row in rows if row["parent_id"] is None), rows[0])
    children = _distinct([row for row in rows if row["parent_id"] is not None], "id")
    story = _Story(order, children or [order], rows, facts, now_ms)
    return (
        story.event(EventType.CREATED, story.when(order["created_at"])),
        *story.payments(),
        *story.attempts(),
        *story.delivery(),
        *story.end(),
    )


class _Story:
    """One order while it is read."""

    def __init__(
        self, order: Row, parts: list[Row], rows: list[Row], facts: Facts, now_ms: int
    ) -> None:
        self._order, self._parts, self._rows = order, parts, rows
        self._facts, self._now_ms = facts, now_ms
        items = _distinct([row for row in rows if row["item_id"] is not None], "item_id")
        self._items = items or [order]
        self._payments = _distinct([row for row in rows if row["payment_id"]], "payment_id")
        self._quantity = sum(row["quantity"] or 0 for row in items) or None
        paid = [row for row in self._payments if row["payment_status"] == "success"]
        self._about = self._attributes(paid[0] if paid else None)

    def when(self, written: Any) -> When | None:
        """A time of this shop: with its zone, whichever database keeps it."""
        return self._facts.when(written, self._now_ms)

    def event(self, kind: EventType, when: When | None, key: str = "", **more: Any) -> OrderEvent:
        """A fact of this order, with what is known about it."""
        number = self._order["order_no"]
        return self._facts.event(kind, number, when, self._now_ms, key=key, **(self._about | more))

    def payments(self) -> list[OrderEvent]:
        """Money as the gateway tells it, its callbacks, and the shop's own acknowledgement."""
        found: list[OrderEvent] = []
        accepted = self.when(self._order["paid_at"])
        has_money = False
        for row in self._payments:
            money = self.when(row["money_at"])
            provider = _provider(row)
            if row["payment_status"] == "success" and money is not None:
                has_money = True
                found.append(self.event(EventType.PAID, money, provider=provider))
            called = self.when(row["callback_at"])
            if called is not None:
                meaning = _MEANING.get(row["payment_status"], "unknown")
                outcome = "rejected" if meaning == "paid" and accepted is None else "ok"
                found.append(
                    self.event(
                        EventType.CALLBACK, called, str(row["payment_id"]),
                        meaning=meaning, outcome=outcome, provider=provider,
                    )
                )  # fmt: skip
        if accepted is not None:
            kind = EventType.ACCEPTED if has_money else EventType.PAID
            found.append(self.event(kind, accepted))
        return found

    def attempts(self) -> list[OrderEvent]:
        """What was asked of suppliers; `retry_count` counts what failed before."""
        found: list[OrderEvent] = []
        asked = [row for row in self._rows if row["attempt_id"] is not None]
        for row in _distinct(asked, "attempt_id"):
            about = {"channel": f"upstream-{row['connection_id']}", "key": str(row["attempt_id"])}
            begun = self.when(row["attempt_created_at"])
            found.append(self.event(EventType.ATTEMPTED, begun, attempt=1, **about))
            if row["attempt_status"] in _FAILED_ATTEMPTS:
                failed = self.when(row["attempt_updated_at"])
                found.append(
                    self.event(
                        EventType.ATTEMPT_FAILED, failed, attempt=max(1, row["retry_count"]),
                        reason=f"upstream_{row['attempt_status']}", **about,
                    )
                )  # fmt: skip
        return found

    def delivery(self) -> list[OrderEvent]:
        """Delivered with its last part; parts that were given back are not waited for."""
        owed = [row for row in self._parts if row["status"] not in _CLOSED or _is_handed(row)]
        if not owed or not all(_is_handed(row) or row["status"] in _DONE for row in owed):
            return []
        times = [when for when in map(self._handed, owed) if when is not None]
        when = max(times, key=lambda one: one.time_ms) if times else None
        texts = [row["payload"] for row in owed if row["fulfillment_type"] != "manual"]
        is_whole = len(texts) == len(self._parts) and all(texts)
        number, quantity = self._order["order_no"], self._quantity
        goods = "\n".join(texts) if is_whole else None
        return [
            self._facts.delivered(
                number, when, self._now_ms, goods, quantity=quantity, channel=self._channel()
            )
        ]

    def end(self) -> list[OrderEvent]:
        """Cancelled, expired or given back as a whole."""
        order, found = self._order, []
        ended = self.when(order["canceled_at"])
        if ended is not None:
            limit = self.when(order["expires_at"])
            is_expired = limit is not None and ended.time_ms >= limit.time_ms
            is_expired = is_expired and order["paid_at"] is None
            found.append(
                self.event(EventType.EXPIRED if is_expired else EventType.CANCELLED, ended)
            )
        if order["status"] == "refunded":
            changed = self.when(order["updated_at"])
            bound = None if changed is None else When(changed.time_ms, is_bound=True)
            found.append(self.event(EventType.REFUNDED, bound))
        return found

    def _handed(self, row: Row) -> When | None:
        if row["delivered_at"]:
            return self.when(row["delivered_at"])
        changed = self.when(row["updated_at"])
        return None if changed is None else When(changed.time_ms, is_bound=True)

    def _channel(self) -> str:
        """Who delivers: the shop's own cards, a person, or a supplier."""
        asked = next((row for row in self._rows if row["attempt_id"] is not None), None)
        if asked is not None:
            return f"upstream-{asked['connection_id']}"
        kinds = {row["fulfillment_type"] for row in self._items}
        return "manual" if "manual" in kinds else str(self._items[0]["fulfillment_type"] or "auto")

    def _attributes(self, paid: Row | None) -> dict[str, Any]:
        order, first = self._order, self._items[0]
        payment = paid or next(iter(self._payments), None)
        return {
            "channel": self._channel(),
            "fulfilment": "manual" if self._channel() == "manual" else "auto",
            "sku": str(first["sku_id"] or first["product_id"]) if first["item_id"] else None,
            "quantity": self._quantity,
            "amount_minor": self._facts.minor(order["total_amount"], order["currency"]),
            "currency": order["currency"] or self._facts.currency,
            "provider": None if payment is None else _provider(payment),
            "customer_hash": self._facts.customer(order["guest_email"]),
        }


def _provider(row: Row) -> str:
    """Who takes the money: `official` is the channel's own gateway."""
    is_own = row["provider_type"] == "official"
    return str(row["channel_type"] if is_own else row["provider_type"])


def _is_handed(row: Row) -> bool:
    return bool(row["handed"] == _HANDED)


def _distinct(rows: list[Row], name: str) -> list[Row]:
    """One row for each value of a column: joins repeat them."""
    return list({row[name]: row for row in rows}.values())
