"""What orders of WooCommerce and Shopify and events of Stripe say, whoever brought them."""

import json
from typing import Any

import msgspec
import pytest

from monitor.adapters.shops import shopify_orders, stripe_events, woocommerce_orders
from monitor.adapters.shops.facts import Facts, Naming
from monitor.model.events import OrderEvent
from tests.shared_data import SHARED

NOW = 1_790_000_000_000
SECRET = "LICENSE-9F2C-PLANTED"
FACTS = Facts(
    "main",
    Naming(lambda text: f"c:{len(text)}", lambda text: f"g:{len(text)}"),
    timezone="Asia/Shanghai",
    currency="EUR",
)
CREATED = 1_767_578_400_000  # 2026-01-05T02:00:00Z
WOO: dict[str, Any] = {
    "id": 963,
    "number": "A-963",
    "status": "completed",
    "currency": "USD",
    "total": "31.20",
    "date_created": "2026-01-04T21:00:00",
    "date_created_gmt": "2026-01-05T02:00:00",
    "date_modified_gmt": "2026-01-05T02:01:00",
    "date_paid_gmt": "2026-01-05T02:00:04",
    "date_completed_gmt": "2026-01-05T02:00:09",
    "payment_method": "stripe",
    "billing": {"email": "buyer@example.com"},
    "meta_data": [{"id": 1, "key": "license_key", "value": SECRET}],
    "line_items": [
        {"product_id": 52, "sku": "KEY-52", "quantity": 2, "meta_data": [{"value": SECRET}]},
        {"product_id": 53, "sku": "", "quantity": 1.5},
    ],
}
SHOPIFY: dict[str, Any] = {
    "id": 450789469,
    "name": "#1001",
    "created_at": "2026-01-04T21:00:00-05:00",
    "updated_at": "2026-01-04T21:03:00-05:00",
    "currency": "USD",
    "total_price": "398.00",
    "financial_status": "paid",
    "fulfillment_status": "fulfilled",
    "payment_gateway_names": ["visa", "bogus"],
    "email": "jon@example.com",
    "note_attributes": [{"name": "key", "value": SECRET}],
    "line_items": [{"sku": "IPOD", "quantity": 1, "properties": [{"value": SECRET}]}],
    "fulfillments": [
        {"status": "success", "created_at": "2026-01-04T21:01:00-05:00", "receipt": SECRET},
        {"status": "success", "created_at": "2026-01-04T21:02:00-05:00"},
        {"status": "cancelled", "created_at": "2026-01-04T21:09:00-05:00"},
    ],
}


def woo(**changed: Any) -> tuple[OrderEvent, ...]:
    order = msgspec.json.decode(json.dumps(WOO | changed), type=woocommerce_orders.WooOrder)
    return woocommerce_orders.events_of(order, FACTS, NOW)


def shopify(**changed: Any) -> tuple[OrderEvent, ...]:
    order = msgspec.json.decode(json.dumps(SHOPIFY | changed), type=shopify_orders.ShopifyOrder)
    return shopify_orders.events_of(order, FACTS, NOW)


def stripe(written: str, **thing: Any) -> tuple[OrderEvent, ...]:
    body = {"metadata": {"order_id": "963"}, "amount": 3_120, "currency": "usd", **thing}
    envelope = {
        "id": "evt_1", "type": written, "created": CREATED // 1_000,
        "data": {"object": body | {"client_secret": SECRET}},
    }  # fmt: skip
    event = msgspec.json.decode(json.dumps(envelope), type=stripe_events.StripeEvent)
    return stripe_events.events_of(event, FACTS, NOW)


def steps(events: tuple[OrderEvent, ...]) -> list[tuple[str, int, bool]]:
    """Type, seconds after the order was made, and whether the time is only a bound, so not in the id."""
    return [(one.type, (one.time_ms - CREATED) // 1_000, "@" not in one.event_id) for one in events]


def test_completed_order_of_woocommerce_was_made_paid_and_delivered() -> None:
    """Times with `_gmt` are UTC, not the zone of the shop; the quantity of weighed goods is rounded up."""
    events = woo()
    assert steps(events) == [
        ("order.created", 0, False), ("order.paid", 4, False), ("delivery.delivered", 9, False),
    ]  # fmt: skip
    paid = events[1]
    assert (paid.order_id, paid.sku, paid.quantity, paid.amount_minor) == (
        "963",
        "KEY-52",
        4,
        3_120,
    )
    assert (paid.currency, paid.provider, paid.customer_hash) == ("USD", "stripe", "c:17")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"status": "cancelled", "date_paid_gmt": None}, ("order.cancelled", 60, True)),
        ({"status": "refunded"}, ("order.refunded", 60, True)),
        ({"status": "failed"}, ("order.failed", 60, True)),
        ({"status": "completed"}, ("delivery.delivered", 60, True)),
    ],
)
def test_status_without_a_time_counts_as_its_change(
    changed: dict[str, Any], expected: tuple[str, int, bool]
) -> None:
    """WooCommerce keeps no time of a cancellation, a refund or a failure: the change is the nearest."""
    assert steps(woo(**changed, date_completed_gmt=None))[-1] == expected


def test_failed_payment_leaves_the_order_open() -> None:
    """Status `failed` before any payment: the buyer may pay again, so nothing is final."""
    unpaid = {"date_paid_gmt": None, "date_completed_gmt": None}
    assert steps(woo(status="failed", **unpaid)) == [("order.created", 0, False)]
    assert woo(status="checkout-draft", **unpaid) == ()


def test_change_that_is_read_twice_is_one_event() -> None:
    """A refunded order is edited later: its refund keeps its name, and with it the first time seen."""
    first, later = (
        woo(status="refunded"),
        woo(status="refunded", date_modified_gmt="2026-01-09T00:00:00"),
    )
    assert [one.event_id for one in first] == [one.event_id for one in later]


def test_fulfilled_order_of_shopify_is_delivered_with_its_last_fulfillment() -> None:
    """A cancelled fulfillment does not count; payment has no time of its own but was before delivery."""
    events = shopify()
    assert steps(events) == [
        ("order.created", 0, False), ("order.paid", 120, True), ("delivery.delivered", 120, False),
    ]  # fmt: skip
    assert (events[0].amount_minor, events[0].provider, events[0].sku) == (39_800, "visa", "IPOD")


def test_order_of_shopify_that_is_not_there_yet() -> None:
    """Partly fulfilled is not delivered, pending is not paid; a cancellation and a refund have times."""
    waiting = {"financial_status": "pending", "fulfillment_status": "partial"}
    assert steps(shopify(**waiting)) == [("order.created", 0, False)]
    gone = steps(
        shopify(
            financial_status="refunded",
            fulfillment_status=None,
            fulfillments=[],
            cancelled_at="2026-01-04T21:05:00-05:00",
            refunds=[{"created_at": "2026-01-04T21:06:00-05:00", "note": SECRET}],
        )
    )
    assert gone[1:] == [
        ("order.paid", 180, True), ("order.cancelled", 300, False), ("order.refunded", 360, False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("written", "thing", "expected"),
    [
        ("checkout.session.completed", {"payment_status": "paid"}, "order.paid"),
        ("checkout.session.completed", {"payment_status": "unpaid"}, "order.created"),
        ("checkout.session.async_payment_succeeded", {}, "order.paid"),
        ("checkout.session.expired", {}, "payment.callback"),
        ("payment_intent.succeeded", {}, "order.paid"),
        ("payment_intent.payment_failed", {}, "payment.callback"),
        ("payment_intent.canceled", {}, "payment.callback"),
        ("charge.refunded", {"refunded": True}, "order.refunded"),
    ],
)
def test_event_of_stripe_is_a_fact_of_the_shops_order(
    written: str, thing: dict[str, Any], expected: str
) -> None:
    """Named by the shop's own number, with its time and its exact minor units."""
    (event,) = stripe(written, **thing)
    assert (event.type, event.order_id, event.time_ms) == (expected, "963", CREATED)
    assert (event.amount_minor, event.currency, event.provider) == (3_120, "USD", "stripe")
    assert event.meaning == ("unknown" if expected == "payment.callback" else None)


def test_stripe_event_that_is_about_no_order_is_no_fact() -> None:
    """Other types, partial refunds, and payments the shop gave no number to; a session may carry it."""
    assert stripe("customer.created") == ()
    assert stripe("charge.refunded", refunded=False) == ()
    assert stripe("payment_intent.succeeded", metadata={}) == ()
    named = stripe("payment_intent.succeeded", metadata=None, client_reference_id="A1")
    assert named[0].order_id == "A1"


def test_planted_secret_is_in_no_event() -> None:
    """Keys in meta data, properties, notes and client secrets are never decoded."""
    events = (*woo(), *shopify(), *stripe("payment_intent.succeeded"))
    assert SECRET not in repr(events)
    assert "example.com" not in repr(events)


@pytest.mark.needs_shared_data
def test_real_orders_of_woocommerce_are_read() -> None:
    """Four orders of a real shop are paid seconds after they were made; a fifth was refunded."""
    listed = (SHARED / "samples/woocommerce_orders_load_all.json").read_bytes()
    page = msgspec.json.decode(listed, type=dict[str, tuple[woocommerce_orders.WooOrder, ...]])
    delays = [
        paid.time_ms - created.time_ms
        for created, paid in (
            woocommerce_orders.events_of(order, FACTS, NOW) for order in page["data"]
        )
    ]
    assert delays == [2_000, 2_000, 3_000, 2_000]
    one = (SHARED / "samples/woocommerce_order_fully_refunded.json").read_bytes()
    refunded = msgspec.json.decode(one, type=dict[str, woocommerce_orders.WooOrder])["data"]
    kinds = [event.type for event in woocommerce_orders.events_of(refunded, FACTS, NOW)]
    assert kinds == ["order.created", "order.paid", "order.refunded"]


@pytest.mark.needs_shared_data
def test_real_order_of_shopify_is_read() -> None:
    """An order that was voided and cancelled was never paid."""
    body = (SHARED / "samples/shopify_order.json").read_bytes()
    order = msgspec.json.decode(body, type=dict[str, shopify_orders.ShopifyOrder])["order"]
    kinds = [event.type for event in shopify_orders.events_of(order, FACTS, NOW)]
    assert kinds == ["order.created", "order.cancelled"]
