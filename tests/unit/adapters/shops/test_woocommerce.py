"""Webhooks of WooCommerce as it sends them: pings, bursts, topics, and what must be answered."""

import json
from typing import Any

import pytest

from monitor.adapters.shops import PUSHES
from monitor.model.errors import AuthError, InputError
from monitor.model.events import OrderEvent
from monitor.model.shops import Pushed, RawReply, RawRequest
from tests.schemes import NOW_MS, SECRET, adapter, in_base64, mac, posted
from tests.shared_data import SHARED

SHOP = adapter("woocommerce", SECRET)
ORDER: dict[str, Any] = {
    "id": 963,
    "status": "processing",
    "currency": "CNY",
    "total": "31.20",
    "date_created_gmt": "2026-01-05T02:00:00",
    "date_modified_gmt": "2026-01-05T02:00:04",
    "date_paid_gmt": "2026-01-05T02:00:04",
    "date_completed_gmt": None,
    "payment_method": "alipay",
    "line_items": [{"product_id": 52, "sku": "KEY-52", "quantity": 1}],
}


def hook(
    body: object, topic: str = "order.updated", delivery: str = "d1", second: int = 0
) -> RawRequest:
    """A request of WooCommerce; bytes are sent as they are."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    resource, _, event = topic.partition(".")
    return posted(
        raw, NOW_MS + second * 1_000, X_WC_Webhook_Source="https://shop.example/",
        X_WC_Webhook_Topic=topic, X_WC_Webhook_Resource=resource, X_WC_Webhook_Event=event,
        X_WC_Webhook_Signature=in_base64(mac(raw)), X_WC_Webhook_ID="1",
        X_WC_Webhook_Delivery_ID=delivery,
    )  # fmt: skip


def kinds(pushed: Pushed) -> list[str]:
    """What a request said, in short."""
    return [event.type for event in pushed.events]


def ids(events: tuple[OrderEvent, ...]) -> set[tuple[str, str]]:
    """By what duplicates are known."""
    return {(event.order_id, event.event_id) for event in events}


def test_ping_of_a_new_webhook_is_answered_200() -> None:
    """A form without a signature; with any other answer WooCommerce does not save the webhook."""
    ping = posted(b"webhook_id=17", Content_Type="application/x-www-form-urlencoded")
    assert SHOP.read(ping) == Pushed((), RawReply(200))


@pytest.mark.parametrize("body", [b"webhook_id=17&order=1", b"webhook_id=", b'{"id":7}', b""])
def test_nothing_but_a_ping_is_taken_unsigned(body: bytes) -> None:
    """Not even what looks nearly like it."""
    with pytest.raises(AuthError):
        SHOP.read(posted(body))


def test_ping_with_a_wrong_signature_is_refused() -> None:
    """Whoever signs is judged by it."""
    with pytest.raises(AuthError):
        SHOP.read(posted(b"webhook_id=17", X_WC_Webhook_Signature="AAAA"))


def test_order_says_what_is_true_of_it() -> None:
    """Pending sends are merged, so one body may be all that is told of two steps."""
    assert kinds(SHOP.read(hook(ORDER, "order.created"))) == ["order.created", "order.paid"]
    done = ORDER | {"status": "completed", "date_completed_gmt": "2026-01-05T02:00:09"}
    assert kinds(SHOP.read(hook(done)))[-1] == "delivery.delivered"


def test_same_body_again_is_the_same_events() -> None:
    """Sent twice, also later and under another delivery id: duplicates all."""
    first, again = SHOP.read(hook(ORDER)), SHOP.read(hook(ORDER, delivery="d2", second=60))
    assert ids(first.events) == ids(again.events)


def test_burst_with_shared_delivery_ids_is_kept_whole() -> None:
    """25 orders in 5 s, one delivery id per second: nobody who trusts that id keeps more than 5."""
    sends = [
        hook(ORDER | {"id": number}, delivery=f"second-{number // 5}", second=number // 5)
        for number in range(1, 26)
    ]
    assert len({request.header("X-WC-Webhook-Delivery-ID") for request in sends}) == 6
    events = [event for request in sends for event in SHOP.read(request).events]
    paid = {event.order_id for event in events if event.type == "order.paid"}
    assert paid == {str(number) for number in range(1, 26)}
    assert len(ids(tuple(events))) == 50


def test_deleted_order_is_cancelled_and_a_restored_one_told_again() -> None:
    """A deletion brings nothing but the id."""
    (gone,) = SHOP.read(hook({"id": 963}, "order.deleted")).events
    assert (gone.type, gone.order_id, gone.is_inferred) == ("order.cancelled", "963", True)
    assert kinds(SHOP.read(hook(ORDER, "order.restored"))) == ["order.created", "order.paid"]


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("woocommerce_new_order", ["order.created"]),
        ("woocommerce_payment_complete", ["order.paid"]),
        ("woocommerce_order_status_completed", ["delivery.delivered"]),
        ("woocommerce_order_status_cancelled", ["order.cancelled"]),
        ("woocommerce_order_fully_refunded", ["order.refunded"]),
        ("woocommerce_add_to_cart", []),
    ],
)
def test_action_is_a_fact_without_a_time(action: str, expected: list[str]) -> None:
    """It counts as now, and as one fact however often it comes."""
    pushed = SHOP.read(hook({"action": action, "arg": 963}, f"action.{action}"))
    assert kinds(pushed) == expected
    assert all(event.is_inferred and event.order_id == "963" for event in pushed.events)
    again = SHOP.read(hook({"action": action, "arg": 963}, f"action.{action}", second=9))
    assert ids(pushed.events) == ids(again.events)


@pytest.mark.parametrize(
    ("body", "topic"),
    [
        ({"id": 5, "status": "publish", "name": "gold"}, "product.updated"),
        ({"id": 5}, "customer.deleted"),
        ({"id": 5}, "coupon.deleted"),
        ({"id": 5}, "order.updated"),
        (ORDER | {"date_paid_gmt": "yesterday"}, "order.updated"),
        (ORDER, "order.deleted"),
        ({"action": "woocommerce_payment_complete", "arg": {"id": 5}}, "action.x"),
        ([], "order.updated"),
    ],
)
def test_what_cannot_be_used_is_answered_all_the_same(body: object, topic: str) -> None:
    """Six failures in a row disable a webhook; a product, or a body we cannot read, is none."""
    pushed = SHOP.read(hook(body, topic))
    assert (pushed.events, pushed.reply, len(pushed.warnings)) == ((), RawReply(200), 1)


def test_signed_body_that_is_no_json_is_refused() -> None:
    """WooCommerce sends JSON."""
    with pytest.raises(InputError):
        SHOP.read(hook(b"id=5"))


def test_every_kind_says_what_it_knows_and_how_long_it_waits() -> None:
    """The verb that connects a shop prints it: each fact once, and no sender waits for ever."""
    for kind, push in PUSHES.items():
        facts = [known.fact for known in push.KNOWN]
        assert len(facts) == len(set(facts)) > 0, kind
        assert 0 <= push.PATIENCE_S <= 3 * 86_400, kind
        assert push.SECRET.where, kind
    assert (PUSHES["woocommerce"].PATIENCE_S, PUSHES["shopify"].PATIENCE_S) == (0, 14_400)


@pytest.mark.needs_shared_data
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("woocommerce_order.json", ["order.created", "order.paid"]),
        (
            "woocommerce_order_fully_refunded.json",
            ["order.created", "order.paid", "order.refunded"],
        ),
    ],
)
def test_real_orders_come_in(name: str, expected: list[str]) -> None:
    """Bodies of a real shop, signed as it signs."""
    body = json.loads((SHARED / "samples" / name).read_bytes())["data"]
    assert kinds(SHOP.read(hook(body))) == expected
