"""What an order of dujiao-next says where its stories do not go: wallets, late money, expiry, parts."""

from typing import Any

import pytest

from monitor.adapters.shops.dujiao_order import events_of
from monitor.adapters.shops.facts import Facts, Naming
from monitor.model.events import EventType, OrderEvent

NOW = 1_790_000_000_000
MADE = 1_767_578_400_000  # 2026-01-05T02:00:00Z
FACTS = Facts("main", Naming(lambda _: "c", lambda _: "g"), timezone=None, currency="CNY")
ROW: dict[str, Any] = {
    "id": 1, "root": 1, "parent_id": None, "order_no": "DJ1", "status": "paid", "currency": "CNY",
    "total_amount": "9.90", "guest_email": None, "expires_at": "2026-01-05 10:15:00+08:00",
    "paid_at": None, "canceled_at": None, "created_at": "2026-01-05 10:00:00+08:00",
    "updated_at": "2026-01-05 02:20:00.5+00:00", "item_id": 5, "sku_id": 0, "product_id": 7,
    "quantity": 1, "fulfillment_type": "auto", "handed": None, "payload": None,
    "delivered_at": None, "attempt_id": None, "connection_id": None, "attempt_status": None,
    "retry_count": None, "attempt_created_at": None, "attempt_updated_at": None,
    "payment_id": None, "provider_type": None, "channel_type": None, "payment_status": None,
    "money_at": None, "callback_at": None,
}  # fmt: skip
PAYMENT = {
    "payment_id": 3, "provider_type": "epay", "channel_type": "alipay", "payment_status": "success",
    "money_at": "2026-01-05 02:00:30+00:00", "callback_at": "2026-01-05 02:00:31+00:00",
}  # fmt: skip
PAID = {"paid_at": "2026-01-05 10:00:32+08:00"}


def told(*rows: dict[str, Any]) -> dict[str, OrderEvent]:
    """The events of an order by type."""
    return {one.type: one for one in events_of([ROW | row for row in rows], FACTS, NOW)}


def after_s(event: OrderEvent) -> float:
    return (event.time_ms - MADE) / 1_000


def test_order_paid_from_a_wallet_was_paid_when_the_shop_says_so() -> None:
    """No gateway, no payment row: the shop's own time is the only one; nothing is accepted twice."""
    found = told(PAID)
    assert after_s(found[EventType.PAID]) == 32
    assert EventType.ACCEPTED not in found
    assert EventType.CALLBACK not in found


def test_gateways_word_is_the_payment_and_the_shops_its_acknowledgement() -> None:
    """Three times of one payment, from the payer's pocket to the shop's book."""
    found = told(PAYMENT | PAID)
    assert after_s(found[EventType.PAID]) == 30
    assert after_s(found[EventType.CALLBACK]) == 31
    assert after_s(found[EventType.ACCEPTED]) == 32
    assert (found[EventType.CALLBACK].meaning, found[EventType.CALLBACK].outcome) == ("paid", "ok")
    assert found[EventType.PAID].provider == "epay"


@pytest.mark.parametrize(
    ("status", "meaning"),
    [("expired", "expired"), ("pending", "waiting"), ("failed", "unknown")],
)
def test_callback_that_brings_no_money_says_what_it_means(status: str, meaning: str) -> None:
    """Some gateways push "waiting" to the same address every minute."""
    found = told(PAYMENT | {"payment_status": status, "money_at": None})
    assert found[EventType.CALLBACK].meaning == meaning
    assert EventType.PAID not in found


def test_money_that_the_shop_does_not_book_is_a_rejected_callback() -> None:
    """The order was given up before: the payment stands, the shop's book says nothing of it."""
    ended = {"status": "canceled", "canceled_at": "2026-01-05 02:00:10+00:00"}
    found = told(PAYMENT | ended)
    assert found[EventType.CALLBACK].outcome == "rejected"
    assert after_s(found[EventType.CANCELLED]) == 10


def test_end_at_the_limit_is_an_expiry_unless_it_was_paid() -> None:
    """15 min after it was made, in whatever zone the two times are written."""
    ended = {"status": "canceled", "canceled_at": "2026-01-05 02:15:00+00:00"}
    assert after_s(told(ended)[EventType.EXPIRED]) == 900
    assert EventType.EXPIRED not in told(ended | PAID)
    assert EventType.CANCELLED in told(ended | PAID)


def test_part_that_was_given_back_is_not_waited_for() -> None:
    """One part delivered, one refunded: the order is delivered with what is left of it."""
    parent = {"item_id": None, "status": "partially_refunded", **PAID}
    first = {"id": 2, "parent_id": 1, "item_id": 6, "status": "completed", "handed": "delivered",
             "payload": "KEY", "delivered_at": "2026-01-05 02:01:00+00:00"}  # fmt: skip
    second = {"id": 3, "parent_id": 1, "item_id": 7, "status": "refunded"}
    found = told(parent, first, second)
    assert after_s(found[EventType.DELIVERED]) == 60
    assert found[EventType.DELIVERED].goods == ()  # half of what was bought proves nothing
    assert EventType.REFUNDED not in found


def test_old_part_without_a_fulfillment_is_delivered_by_its_state() -> None:
    """`completed` with no row of a delivery: it happened when the row was changed, or before."""
    found = told(PAID | {"status": "completed"})
    delivered = found[EventType.DELIVERED]
    assert (after_s(delivered), delivered.event_id) == (1_200.5, "delivery.delivered")
