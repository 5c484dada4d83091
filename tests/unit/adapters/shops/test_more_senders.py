"""Gumroad, Keygen, Saleor and what card shops send besides being read: bodies in, facts out."""

from __future__ import annotations

import hashlib
import json
from urllib.parse import urlencode

import msgspec
import pytest

from monitor.adapters.shops.proof_more import signed_path, sorted_md5
from monitor.model.errors import AuthError
from monitor.model.events import OrderEvent
from monitor.model.secret import Secret
from monitor.model.shops import Pushed, RawReply, RawRequest
from tests.planted import PLANTED
from tests.schemes import NOW_MS, NOW_S, SECRET, adapter, mac, posted

CARD = "CARD-9F2C-PLANTED"
WORD = "a-word-of-24-characters_"
T0_MS = 1_767_578_400_000  # 2026-01-05T02:00:00Z


def worded(body: bytes, query: str = f"token={WORD}") -> RawRequest:
    """A request to an address with something behind it."""
    return msgspec.structs.replace(posted(body), target=f"/hooks/main?{query}")


def dujiao(body: object, stamp: str = NOW_S) -> RawRequest:
    raw = json.dumps(body).encode()
    md5 = hashlib.md5(raw, usedforsecurity=False).hexdigest()
    proof = mac(f"POST\n/api/v1/upstream/callback\n{stamp}\n{md5}".encode()).hex()
    return posted(raw, Dujiao_Next_Timestamp=stamp, Dujiao_Next_Signature=proof)


def saleor(name: str, order: dict[str, object]) -> Pushed:
    raw = json.dumps([order]).encode()
    proof = mac(raw).hex()
    return adapter("saleor", SECRET).read(posted(raw, Saleor_Event=name, Saleor_Signature=proof))


def told(pushed: Pushed) -> list[tuple[str, str, bool]]:
    """Type, order, and whether the time is the shop's own."""
    return [(one.type, one.order_id, not one.is_inferred) for one in pushed.events]


# --- a word in the address ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["gumroad", "dujiaoka"])
def test_word_in_the_address_is_the_proof_and_every_bit_of_it_counts(kind: str) -> None:
    """No word, another, two of them, and each bit of the right one turned are refused."""
    push, body = adapter(kind, WORD), b'{"order_sn":"A"}'
    push.prove(worded(body))
    others = ["", "token=", f"token={WORD}&token={WORD}", f"Token={WORD}", f"token={WORD}%20"]
    for place in range(len(WORD)):
        for bit in range(7):
            raw = bytearray(WORD.encode())
            raw[place] ^= 1 << bit
            others.append(urlencode({"token": bytes(raw)}))
    others.append("&".join(f"a{number}=1" for number in range(200)))
    for query in others:
        with pytest.raises(AuthError):
            push.prove(worded(body, query))
    with pytest.raises(AuthError):
        adapter(kind).prove(worded(body, "token=%00" + "%00" * 31))


# --- Gumroad ----------------------------------------------------------------------------------------


def test_gumroad_sale_is_paid_and_handed_over_at_once() -> None:
    """Times to the millisecond, cents, and the licence key only as a digest."""
    form = {"resource_name": "sale", "order_number": "537", "sale_timestamp": "2026-01-05T02:00:00Z",
            "price": "1990", "currency": "usd", "quantity": "1", "license_key": CARD}  # fmt: skip
    pushed = adapter("gumroad", WORD).read(worded(urlencode(form).encode()))
    assert told(pushed) == [
        ("order.created", "537", True), ("order.paid", "537", True),
        ("delivery.delivered", "537", True),
    ]  # fmt: skip
    paid, handed = pushed.events[1:]
    assert (paid.time_ms, paid.amount_minor, paid.currency) == (T0_MS, 1_990, "USD")
    assert len(handed.goods) == 1
    assert CARD not in repr(pushed)


@pytest.mark.parametrize(
    ("form", "types"),
    [
        ({"resource_name": "refund", "sale_id": "s"}, ["order.refunded"]),
        ({"sale_id": "s", "refunded": "true"}, ["order.refunded"]),
        ({"resource_name": "dispute", "sale_id": "s"}, []),
        ({"resource_name": "cancellation", "order_number": "7"}, []),
    ],
)
def test_gumroad_tells_refunds_and_nothing_of_subscriptions(
    form: dict[str, str], types: list[str]
) -> None:
    """Whatever else it sends is answered with a yes."""
    pushed = adapter("gumroad", WORD).read(worded(urlencode(form).encode()))
    assert [one.type for one in pushed.events] == types
    assert pushed.reply == RawReply()


# --- dujiaoka ---------------------------------------------------------------------------------------


def test_hook_of_dujiaoka_is_no_evidence_of_payment_or_delivery() -> None:
    """Good and bad orders are told alike, unsigned: accepted is all that follows."""
    body = {"title": "t", "order_sn": "DJ1", "email": "b@x.example", "actual_price": "19.90",
            "order_info": CARD, "good_id": 3, "gd_name": "n"}  # fmt: skip
    pushed = adapter("dujiaoka", WORD).read(worded(json.dumps(body).encode()))
    (event,) = pushed.events
    assert told(pushed) == [("order.accepted", "DJ1", False)]
    assert (event.sku, event.amount_minor, event.time_ms) == ("3", 1_990, NOW_MS)
    assert CARD not in repr(pushed)
    again = adapter("dujiaoka", WORD).read(worded(json.dumps(body).encode()))
    assert again.events[0].event_id == event.event_id


# --- dujiao-next ------------------------------------------------------------------------------------


def test_signature_of_dujiao_next_is_the_published_rule() -> None:
    """The vector of the Go source's rule: method, path, time, MD5 of the body."""
    body = b'{"sku_id":1,"quantity":1}'
    secret, path = "test-secret-key-12345", "/api/v1/upstream/orders"
    md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
    proof = mac(f"POST\n{path}\n1700000000\n{md5}".encode(), secret).hex()
    assert (proof[:8], proof[-8:]) == ("cd9ecf57", "bda4c397")
    request = posted(body, 1_700_000_000_000, T="1700000000", P=proof)
    signed_path(
        [Secret(secret)], request, path=path, time_header="T", proof_header="P", window_s=60
    )


def test_dujiao_next_hears_the_only_yes_it_knows_whatever_it_says() -> None:
    """And a delivery told again, with a newer stamp, is the same event."""
    handed = {"type": "auto", "status": "delivered", "payload": CARD,
              "delivered_at": "2026-01-05T10:00:00+08:00"}  # fmt: skip
    body = {"event": "order.fulfilled", "order_no": "U1", "downstream_order_no": "D1",
            "fulfillment": handed, "timestamp": int(NOW_S)}  # fmt: skip
    push = adapter("dujiao-next", SECRET)
    first, second = (push.read(dujiao(body | {"timestamp": int(NOW_S) + n})) for n in (0, 30))
    assert told(first) == [("delivery.delivered", "D1", True)]
    assert first.events == second.events
    assert first.events[0].time_ms == T0_MS
    assert CARD not in repr(first)
    for said in (body | {"event": "x", "status": "unheard-of"}, {"event": "x"}):
        answered = push.read(dujiao(said))
        assert (answered.events, answered.reply) == (
            (), RawReply(200, b'{"ok":true}', "application/json"),
        )  # fmt: skip


@pytest.mark.parametrize("skew_s", [-61, 61])
def test_callback_of_dujiao_next_is_stale_after_a_minute(skew_s: int) -> None:
    """Its own rule, at both ends."""
    with pytest.raises(AuthError) as caught:
        adapter("dujiao-next", SECRET).read(dujiao({}, str(int(NOW_S) + skew_s)))
    assert caught.value.code == "stale_signature"


# --- acg-faka ---------------------------------------------------------------------------------------


def acg(**row: str) -> tuple[OrderEvent, ...]:
    text = "&".join(f"{name}={value}" for name, value in sorted(row.items()))
    sign = hashlib.md5(f"{text}&key={SECRET}".encode(), usedforsecurity=False).hexdigest()
    body = urlencode(row | {"sign": sign}).encode()
    return adapter("acg-faka", SECRET).read(posted(body)).events


def test_row_of_acg_faka_is_created_paid_and_delivered_by_its_states() -> None:
    """Naive times are Shanghai's; an apology in the place of the cards is a failed attempt."""
    row = {"trade_no": "1", "create_time": "2026-01-05 09:59:00", "pay_time": "2026-01-05 10:00:00",
           "amount": "9.90", "card_num": "1", "secret": CARD}  # fmt: skip
    assert [one.type for one in acg(**row, status="0")] == ["order.created"]
    assert [one.type for one in acg(**row, status="1")] == ["order.created", "order.paid"]
    events = acg(**row, status="1", delivery_status="1")
    assert [one.type for one in events][2:] == ["delivery.delivered"]
    assert (events[1].time_ms, events[1].amount_minor) == (T0_MS, 990)
    assert CARD not in repr(events)
    sorry = row | {"secret": "很抱歉，有人在你付款之前抢走了商品，请联系客服。"}
    assert acg(**sorry, status="1", delivery_status="1")[2].type == "delivery.failed"


def test_md5_is_over_sorted_fields_without_empty_ones() -> None:
    """By hand: md5("a=1&b=x y&key=k"); with no secret nobody is believed."""
    sign = hashlib.md5(b"a=1&b=x y&key=k", usedforsecurity=False).hexdigest()
    fields = {"b": "x y", "c": "", "sign": sign, "a": "1"}
    sorted_md5([Secret("k")], fields, sign)
    for secrets, offered in (([], sign), ([Secret("l")], sign), ([Secret("k")], sign.upper())):
        with pytest.raises(AuthError):
            sorted_md5(secrets, fields, offered)
    for body in (b'{"a":[1]}', b"{", b"a=1&" * 300):
        with pytest.raises(AuthError):
            adapter("acg-faka", SECRET).read(posted(body))


# --- Keygen -----------------------------------------------------------------------------------------


def test_licence_of_keygen_is_the_delivery_of_the_order_in_its_metadata() -> None:
    """What `tests/planted.py` signs; a day later the same request is stale."""
    sender = next(one for one in PLANTED if one.kind == "keygen")
    (sent,) = sender.sent(CARD, int(NOW_S))
    request = RawRequest("POST", "/hooks/keygen", tuple(sent.headers.items()), sent.body, NOW_MS)
    push = adapter("keygen", sender.secret)
    pushed = push.read(request)
    assert told(pushed) == [("delivery.delivered", "KG1", True)]
    assert CARD not in repr(pushed)
    with pytest.raises(AuthError) as caught:
        push.read(msgspec.structs.replace(request, received_ms=NOW_MS + 86_400_000))
    assert caught.value.code == "stale_signature"
    with pytest.raises(AuthError):
        push.read(msgspec.structs.replace(request, target="/hooks/other"))


# --- Saleor -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "is_own"),
    [
        ("order_created", "order.created", True),
        ("order_fully_paid", "order.paid", False),
        ("order_fulfilled", "delivery.delivered", True),
        ("order_cancelled", "order.cancelled", False),
        ("order_fully_refunded", "order.refunded", False),
        ("order_refunded", "payment.callback", False),
    ],
)
def test_event_of_saleor_is_one_fact(name: str, kind: str, is_own: bool) -> None:
    """Told again five minutes later with a new `issued_at`, it is the same event."""
    order: dict[str, object] = {
        "id": "T3JkZXI6MQ==", "number": "12", "created": "2026-01-05T02:00:00+00:00",
        "total_gross_amount": "19.90", "currency": "USD", "payments": [{"gateway": "stripe"}],
        "fulfillments": [{"created": "2026-01-05T02:00:00+00:00"}], "private_note": CARD,
        "meta": {"issued_at": "2026-01-05T02:00:01+00:00"},
    }  # fmt: skip
    pushed = saleor(name, order)
    assert told(pushed) == [(kind, "12", is_own)]
    assert (pushed.events[0].amount_minor, pushed.events[0].provider) == (1_990, "stripe")
    later = saleor(name, order | {"meta": {"issued_at": "2026-01-05T02:05:00+00:00"}})
    assert later.events[0].event_id == pushed.events[0].event_id
    assert CARD not in repr(pushed)


def test_saleor_hears_yes_to_what_says_nothing() -> None:
    """A 4xx would be its last attempt."""
    assert saleor("product_updated", {"id": "x"}) == Pushed(())
    assert saleor("order_created", {"no": "id"}).reply == RawReply()


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("order_fully_paid", {"payments": [{"gateway": "stripe", "captured_amount": "0.00"}]}),
        ("order_fulfilled", {"status": "unfulfilled"}),
        ("order_cancelled", {"status": "unfulfilled"}),
    ],
)
def test_signed_body_under_the_name_of_another_event_says_nothing(
    name: str, order: dict[str, object]
) -> None:
    """No signature covers the header with the event's name."""
    pushed = saleor(name, {"id": "x", **order})
    assert (pushed.events, len(pushed.warnings)) == ((), 1)
