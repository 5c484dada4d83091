"""Stripe, Paddle, Lemon Squeezy and senders of Standard Webhooks: bodies in, facts out."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monitor.model.errors import InputError
from monitor.model.events import OrderEvent
from monitor.model.shops import Pushed, RawReply, RawRequest
from tests.schemes import NOW_S, SECRET, adapter, in_base64, mac, posted
from tests.shared_data import SHARED

SAMPLES = Path(__file__).with_name("samples")
CARD = "CARD-9F2C-PLANTED"
T0_MS = 1_767_578_400_000  # 2026-01-05T02:00:00Z
STRIPE, PADDLE = f"whsec_{SECRET}", f"pdl_ntfset_{SECRET}"


def stripe(body: object) -> RawRequest:
    raw = json.dumps(body).encode()
    proof = mac(f"{NOW_S}.".encode() + raw, STRIPE).hex()
    return posted(raw, Stripe_Signature=f"t={NOW_S},v1={proof}")


def paddle(body: object) -> RawRequest:
    raw = json.dumps(body, ensure_ascii=False).encode()
    proof = mac(f"{NOW_S}:".encode() + raw, PADDLE).hex()
    return posted(raw, Paddle_Signature=f"ts={NOW_S};h1={'0' * 64};h1={proof}")


def lemon(body: object) -> RawRequest:
    raw = json.dumps(body).encode()
    return posted(raw, X_Signature=mac(raw).hex())


def standard(body: object) -> RawRequest:
    raw = json.dumps(body).encode()
    proof = in_base64(mac(f"msg_1.{NOW_S}.".encode() + raw))
    return posted(raw, webhook_id="msg_1", webhook_timestamp=NOW_S, webhook_signature=f"v1,{proof}")


SENDERS: dict[str, tuple[Callable[[object], RawRequest], str]] = {
    "stripe": (stripe, STRIPE),
    "paddle": (paddle, PADDLE),
    "lemonsqueezy": (lemon, SECRET),
    "standard_webhooks": (standard, SECRET),
}


def push(kind: str, body: object) -> Pushed:
    """What the adapter of a kind makes of a body that its sender signed."""
    request, secret = SENDERS[kind]
    return adapter(kind, secret).read(request(body))


def facts(kind: str, body: object) -> tuple[OrderEvent, ...]:
    pushed = push(kind, body)
    assert (pushed.reply, pushed.warnings) == (RawReply(200), ())
    assert pushed.events == push(kind, body).events, "the same body, the same events"
    assert CARD not in repr(pushed)
    return pushed.events


def steps(events: tuple[OrderEvent, ...]) -> list[tuple[str, int]]:
    """Type, and seconds after two o'clock."""
    return [(one.type, (one.time_ms - T0_MS) // 1_000) for one in events]


# --- Stripe -------------------------------------------------------------------------------------


def stripe_event(kind: str, **thing: Any) -> dict[str, Any]:
    held = {"metadata": {"order_id": "A1"}, "client_secret": CARD, "currency": "cny", **thing}
    return {"id": "evt_1", "type": kind, "created": T0_MS // 1_000, "data": {"object": held}}


def test_stripe_pays_the_order_that_the_shop_named() -> None:
    """By `metadata.order_id`, with exact minor units; a payment without a name is counted."""
    (paid,) = facts("stripe", stripe_event("payment_intent.succeeded", amount=1_990))
    assert (paid.type, paid.order_id, paid.time_ms, paid.amount_minor, paid.currency) == (
        "order.paid", "A1", T0_MS, 1_990, "CNY",
    )  # fmt: skip
    nameless = push("stripe", stripe_event("payment_intent.succeeded", metadata={}))
    assert (nameless.events, nameless.reply, len(nameless.warnings)) == ((), RawReply(200), 1)


def test_stripe_gives_back_all_or_a_part() -> None:
    """A partial refund leaves the order as it is, and that is nothing strange."""
    assert steps(facts("stripe", stripe_event("charge.refunded", refunded=True))) == [
        ("order.refunded", 0)
    ]
    assert facts("stripe", stripe_event("charge.refunded", refunded=False)) == ()
    assert facts("stripe", stripe_event("customer.created")) == ()


@pytest.mark.needs_shared_data
def test_objects_of_stripe_come_in() -> None:
    """The resources of stripe/openapi (MIT), with the order's number that a shop adds."""
    raw = (SHARED / "samples/stripe_fixtures3.json").read_bytes()
    resources = json.loads(raw)["resources"]
    for kind, name, expected in (
        ("payment_intent.succeeded", "payment_intent", "order.paid"),
        ("checkout.session.completed", "checkout.session", "order.created"),
        ("checkout.session.expired", "checkout.session", "payment.callback"),
    ):
        thing = resources[name] | {"metadata": {"order_id": "A1"}}
        event = resources["event"] | {"type": kind, "data": {"object": thing}}
        assert [one.type for one in push("stripe", event).events] == [expected]


# --- Paddle -------------------------------------------------------------------------------------

TRANSACTION: dict[str, Any] = {
    "id": "txn_01",
    "created_at": "2026-01-05T02:00:00.5Z",
    "currency_code": "USD",
    "customer_id": "ctm_01",
    "custom_data": {"card": CARD},
    "details": {"totals": {"total": "65215"}},
    "items": [{"quantity": 10, "price": {"product_id": "pro_01", "name": CARD}}],
    "payments": [
        {"status": "error", "error_code": "declined", "captured_at": None},
        {"status": "captured", "captured_at": "2026-01-05T02:00:14.635628Z"},
    ],
}


def notified(kind: str, thing: object) -> dict[str, Any]:
    return {"event_id": "evt_1", "event_type": kind, "occurred_at": "2026-01-05T02:00:20.1Z",
            "notification_id": "ntf_1", "data": thing}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("transaction.created", [("order.created", 0)]),
        ("transaction.paid", [("order.created", 0), ("order.paid", 14)]),
        ("transaction.completed", [("order.created", 0), ("order.paid", 14)]),
        ("transaction.payment_failed", [("order.created", 0), ("payment.callback", 20)]),
        ("transaction.canceled", [("order.created", 0), ("order.cancelled", 20)]),
        ("transaction.past_due", []),
        ("subscription.trialing", []),
    ],
)
def test_paddle_says_what_becomes_of_a_transaction(
    kind: str, expected: list[tuple[str, int]]
) -> None:
    """Paid is when the money was captured, by both events; `completed` is nobody's delivery."""
    events = facts("paddle", notified(kind, TRANSACTION))
    assert steps(events) == expected
    for event in events:
        assert (event.order_id, event.amount_minor, event.currency) == ("txn_01", 65_215, "USD")
        assert (event.sku, event.quantity, event.provider) == ("pro_01", 10, "paddle")
        assert event.meaning in (None, "unknown")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, [("order.refunded", 20)]),
        ({"action": "chargeback"}, [("order.refunded", 20)]),
        ({"action": "credit"}, []),
        ({"type": "partial"}, []),
        ({"status": "pending_approval"}, []),
        ({"status": "rejected"}, []),
    ],
)
def test_paddle_gives_back_all_or_a_part(
    changed: dict[str, str], expected: list[tuple[str, int]]
) -> None:
    """Only an approved adjustment of everything ends the order, whose number is the transaction's."""
    thing = {"id": "adj_01", "transaction_id": "txn_01", "action": "refund", "type": "full",
             "status": "approved", **changed}  # fmt: skip
    events = facts("paddle", notified("adjustment.updated", thing))
    assert steps(events) == expected
    assert {event.order_id for event in events} <= {"txn_01"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("paid", ["order.created", "order.paid"]),
        ("completed", ["order.created", "order.paid"]),
        ("payment_failed", ["order.created", "payment.callback"]),
    ],
)
def test_real_transactions_of_paddle_come_in(name: str, expected: list[str]) -> None:
    """Entities of paddle-python-sdk's fixtures (Apache-2.0)."""
    thing = json.loads((SAMPLES / f"paddle_transaction.{name}.json").read_bytes())
    events = push("paddle", notified(f"transaction.{name}", thing)).events
    assert [event.type for event in events] == expected
    assert events[-1].amount_minor == 65_215


# --- Lemon Squeezy ------------------------------------------------------------------------------


def squeezed(name: str, thing: str, **attributes: Any) -> dict[str, Any]:
    said = {"currency": "USD", "total": 1_990, "user_email": "jon@example.com",
            "created_at": "2026-01-05T02:00:00.000000Z", **attributes}  # fmt: skip
    return {"meta": {"event_name": name}, "data": {"id": thing, "attributes": said}}


def test_order_of_lemon_squeezy_is_paid_when_it_is_made() -> None:
    """If it is: a pending one waits, a failed one was never paid."""
    made = squeezed("order_created", "7", status="paid", first_order_item={"product_id": 3})
    events = facts("lemonsqueezy", made)
    assert steps(events) == [("order.created", 0), ("order.paid", 0)]
    assert (events[1].order_id, events[1].amount_minor, events[1].sku) == ("7", 1_990, "3")
    assert (events[1].customer_hash, "jon" in repr(events)) == ("c:15", False)
    for status in ("pending", "failed"):
        assert len(facts("lemonsqueezy", squeezed("order_created", "7", status=status))) == 1


def test_lemon_squeezy_gives_back_all_or_a_part() -> None:
    """By the status of the order, at the time of the refund."""
    at = {"refunded_at": "2026-01-05T02:00:30Z"}
    whole = facts("lemonsqueezy", squeezed("order_refunded", "7", status="refunded", **at))
    assert steps(whole)[-1] == ("order.refunded", 30)
    part = facts("lemonsqueezy", squeezed("order_refunded", "7", status="partial_refund", **at))
    assert (steps(part)[-1], part[-1].meaning) == (("payment.callback", 30), "refunded")


def test_licence_key_of_lemon_squeezy_is_a_delivery_and_only_a_digest() -> None:
    """The key is the goods: known again, never kept."""
    key = squeezed("license_key_created", "9", order_id=7, key=CARD, key_short="XXXX-PLANTED")
    (event,) = facts("lemonsqueezy", key)
    assert (event.type, event.order_id, event.time_ms) == ("delivery.delivered", "7", T0_MS)
    assert event.goods == (f"g:{len(CARD)}",)
    assert facts("lemonsqueezy", squeezed("subscription_created", "1")) == ()


# --- Standard Webhooks --------------------------------------------------------------------------


def message(kind: str, **data: Any) -> dict[str, Any]:
    return {"type": kind, "timestamp": "2026-01-05T02:00:00Z", "data": {"order_id": "A1", **data}}


def test_message_with_our_names_is_that_event() -> None:
    """Fields as on `/v1/events`; what is no field of an event stays behind."""
    (event,) = facts(
        "standard_webhooks",
        message("order.paid", channel="auto", amount_minor=990, speed="express", card=CARD),
    )
    assert (event.type, event.order_id, event.time_ms, event.channel) == (
        "order.paid", "A1", T0_MS, "auto",
    )  # fmt: skip
    assert (event.amount_minor, event.speed) == (990, "express")


def test_delivery_in_a_message_carries_digests() -> None:
    """Two keys for two units."""
    sold = message("delivery.delivered", quantity=2, goods=[CARD, f"{CARD}-2"])
    (event,) = facts("standard_webhooks", sold)
    assert (event.goods, event.goods_units) == ((f"g:{len(CARD)}", f"g:{len(CARD) + 2}"), 2)


def test_heartbeat_in_a_message_needs_no_order() -> None:
    """And is never taken for a duplicate of another."""
    (beat,) = facts("standard_webhooks", {"type": "source.heartbeat"})
    assert (beat.type, beat.order_id, beat.is_unique) == ("source.heartbeat", "", True)


@pytest.mark.parametrize(
    "body",
    [
        {"type": "order.paid", "data": {}},
        message("order.paid", speed="warp"),
        message("payment.callback", meaning="perhaps"),
        message("order.paid", amount_minor="much"),
        {"type": 7},
    ],
)
def test_message_that_is_no_event_is_answered_and_counted(body: object) -> None:
    """Sending it again would not help."""
    pushed = push("standard_webhooks", body)
    assert (pushed.events, pushed.reply, len(pushed.warnings)) == ((), RawReply(200), 1)


# --- all of them --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SENDERS)
@pytest.mark.parametrize(
    "body", [[], {}, 7, {"data": None}, {"meta": {"event_name": "order_created"}}]
)
def test_signed_body_of_another_shape_is_answered_and_counted(kind: str, body: object) -> None:
    """Whatever a new version of a sender sends, it is not told no for ever."""
    pushed = push(kind, body)
    assert (pushed.events, pushed.reply, len(pushed.warnings)) == ((), RawReply(200), 1)


@pytest.mark.parametrize("kind", SENDERS)
def test_signed_body_that_is_no_json_is_refused(kind: str) -> None:
    """No such sender sends it; deep nesting is no way in either."""
    request, secret = SENDERS[kind]
    for raw in (b"{", b"\xff", b'{"a":' * 5_000):
        good = request(7)
        forged = {**vars_of(good), "body": raw}
        with pytest.raises(InputError):
            adapter(kind, secret).said(RawRequest(**forged))


def vars_of(request: RawRequest) -> dict[str, Any]:
    """The parts of a request."""
    return {name: getattr(request, name) for name in request.__struct_fields__}
