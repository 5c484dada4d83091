"""Webhooks of Shopify: topics, their times, and what the headers may not decide."""

import json
from pathlib import Path
from typing import Any

import pytest

from monitor.model.events import OrderEvent
from monitor.model.shops import Pushed, RawReply, RawRequest
from tests.schemes import NOW_MS, SECRET, adapter, in_base64, mac, posted

SAMPLES = Path(__file__).with_name("samples")
SHOP = adapter("shopify", SECRET)
AT = "2026-01-05T02:00:00.125Z"
AT_MS = 1_767_578_400_125
ORDER: dict[str, Any] = {
    "id": 450789469,
    "created_at": "2026-01-05T09:59:50+08:00",
    "updated_at": "2026-01-05T10:00:02+08:00",
    "currency": "CNY",
    "total_price": "39.80",
    "financial_status": "paid",
    "fulfillment_status": None,
    "payment_gateway_names": ["alipay_global"],
    "line_items": [{"sku": "KEY-52", "quantity": 2}],
}


def hook(body: object, topic: str, **headers: str) -> RawRequest:
    """A request of Shopify."""
    raw = json.dumps(body).encode()
    named = {"X_Shopify_Triggered_At": AT, "X_Shopify_Topic": topic, **headers}
    return posted(raw, NOW_MS, X_Shopify_Hmac_Sha256=in_base64(mac(raw)), **named)


def read(body: object, topic: str, **headers: str) -> tuple[OrderEvent, ...]:
    """The events of a request, which is always answered 200."""
    pushed = SHOP.read(hook(body, topic, **headers))
    assert pushed.reply == RawReply(200)
    return pushed.events


def test_payment_has_the_time_at_which_shopify_says_it_was() -> None:
    """Exact, where the order itself has only the time of its last change; later sends say the same."""
    created, paid = read(ORDER, "orders/paid")
    assert (paid.type, paid.time_ms, paid.is_inferred) == ("order.paid", AT_MS, False)
    assert (paid.amount_minor, paid.quantity, paid.provider) == (3_980, 2, "alipay_global")
    assert created.time_ms == AT_MS - 10_125
    assert read(ORDER, "orders/paid", X_Shopify_Webhook_Id="w-2") == (created, paid)


@pytest.mark.parametrize("header", ["", "soon", "2026-01-05T01:59:49Z", "2030-01-01T00:00:00Z"])
def test_time_of_a_header_that_cannot_be_is_not_believed(header: str) -> None:
    """The signature does not cover it: before the order was made or in the future it says nothing."""
    (paid,) = [
        event
        for event in read(ORDER, "orders/paid", X_Shopify_Triggered_At=header)
        if event.type == "order.paid"
    ]
    assert (paid.event_id, paid.time_ms) == ("order.paid", AT_MS + 1_875)


def test_order_that_is_not_paid_is_not_by_its_topic() -> None:
    """The body counts: a topic is only a header."""
    events = read(ORDER | {"financial_status": "pending"}, "orders/paid")
    assert [event.type for event in events] == ["order.created"]


def test_fulfilled_cancelled_and_refunded_orders_are_closed_by_what_they_say() -> None:
    """Each with the time that the order has for it."""
    handed = [{"status": "success", "created_at": "2026-01-05T10:00:01+08:00"}]
    fulfilled = ORDER | {"fulfillment_status": "fulfilled", "fulfillments": handed}
    assert read(fulfilled, "orders/fulfilled")[-1].type == "delivery.delivered"
    gone = read(ORDER | {"cancelled_at": "2026-01-05T10:00:02+08:00"}, "orders/cancelled")
    assert gone[-1].type == "order.cancelled"
    back = {
        "financial_status": "refunded",
        "refunds": [{"created_at": "2026-01-05T10:00:02+08:00"}],
    }
    assert read(ORDER | back, "orders/updated")[-1].type == "order.refunded"


def test_refund_alone_closes_nothing() -> None:
    """It may be a part of the money: a callback says so, once per refund."""
    refund = {
        "id": 509562969, "order_id": 450789469, "created_at": "2026-01-05T10:00:02+08:00",
        "transactions": [{"kind": "refund", "amount": "9.90", "currency": "CNY", "gateway": "bogus"}],
    }  # fmt: skip
    (event,) = read(refund, "refunds/create")
    assert (event.type, event.meaning, event.order_id) == (
        "payment.callback", "refunded", "450789469",
    )  # fmt: skip
    other = read(refund | {"id": 2}, "refunds/create")[0]
    assert event.event_id != other.event_id


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("in_transit", "delivery.attempted"),
        ("out_for_delivery", "delivery.attempted"),
        ("attempted_delivery", "delivery.failed"),
        ("failure", "delivery.failed"),
        ("delivered", "delivery.verified"),
        ("label_printed", None),
    ],
)
def test_fulfillment_event_is_a_step_of_the_delivery(status: str, expected: str | None) -> None:
    """In the words of Shopify; seen at the door is a check of what was handed over."""
    body = {"id": 944956393, "order_id": 450789469, "status": status, "happened_at": AT}
    events = read(body, "fulfillment_events/create")
    assert [(event.type, event.time_ms) for event in events] == (
        [(expected, AT_MS)] if expected else []
    )


def test_deleted_order_and_other_topics() -> None:
    """An order that is deleted is gone; topics about other things are answered and say nothing."""
    assert [one.type for one in read({"id": 7}, "orders/delete")] == ["order.cancelled"]
    assert read({"id": 7}, "products/update") == ()
    strange = SHOP.read(hook({"id": "x"}, "orders/paid"))
    assert strange == Pushed((), RawReply(200), strange.warnings)
    assert len(strange.warnings) == 1


def test_topic_over_the_body_of_an_order_does_not_delete_it() -> None:
    """No signature covers the topic: whoever overheard an order could cancel it with a header."""
    strange = SHOP.read(hook(ORDER, "orders/delete"))
    assert (strange.events, len(strange.warnings)) == ((), 1)


def test_topic_over_the_body_of_a_fulfillment_gives_no_money_back() -> None:
    """A refund has transactions."""
    body = {"id": 1, "order_id": 450789469, "status": "success", "created_at": AT}
    strange = SHOP.read(hook(body, "refunds/create"))
    assert (strange.events, len(strange.warnings)) == ((), 1)


def test_real_bodies_come_in() -> None:
    """Of go-shopify's fixtures: a cancelled order and a parcel on its way."""
    order = json.loads((SAMPLES / "shopify_order.json").read_bytes())["order"]
    assert [one.type for one in read(order, "orders/cancelled")][-1] == "order.cancelled"
    step = json.loads((SAMPLES / "shopify_fulfillment_event.json").read_bytes())
    (event,) = read(step["fulfillment_event"], "fulfillment_events/create")
    assert (event.type, event.order_id) == ("delivery.attempted", "450789469")
