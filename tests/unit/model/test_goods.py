"""What a delivery brought is counted and named by digests; an apology is no delivery."""

import json

import pytest

from monitor.api.decode import decode
from monitor.api.decode_types import DecodeContext, Decoded
from monitor.model.events import OrderEvent

CONTEXT = DecodeContext(
    1_790_000_000_000, "default", {}, name_goods=lambda text: f"<{len(text)}:{text[-1]}>"
)
APOLOGY = "很抱歉，有人在你付款之前抢走了商品，请联系客服。"


def read(**fields: object) -> Decoded:
    event = {"type": "delivery.delivered", "order_id": "A1", "id": "e1"} | fields
    return decode(json.dumps(event).encode(), "application/json", {}, CONTEXT)


def event_of(**fields: object) -> OrderEvent:
    (event,) = read(**fields).events
    return event


@pytest.mark.parametrize(
    ("fields", "goods", "units"),
    [
        ({"secret": "KEY-1"}, ("<5:1>",), 0),
        ({"order_info": " KEY-1 \n"}, ("<5:1>",), 0),
        ({"order_info": "KEY-1\nKEY-2", "quantity": 2}, ("<5:1>", "<5:2>"), 2),
        ({"order_info": "KEY-1\nUse it within a day", "quantity": 1}, ("<25:y>",), 0),
        ({"order_info": "KEY-1, KEY-2", "quantity": 2}, ("<12:2>",), 0),
        ({"cards": ["K1", "K2"], "quantity": 2}, ("<2:1>", "<2:2>"), 2),
        ({"cards": ["K1"]}, ("<2:1>",), 1),
        ({"cards": [{"no": "K1", "pin": "9"}]}, ("<4:9>",), 1),
        ({"cards": []}, (), 0),
        ({"password": "of the account"}, (), 0),
    ],
)
def test_units_are_counted_and_named(
    fields: dict[str, object], goods: tuple[str, ...], units: int
) -> None:
    """Lines are units only where there are as many as were ordered; only lists and such lines are counted."""
    event = event_of(**fields)
    assert (event.goods, event.goods_units) == (goods, units)


@pytest.mark.parametrize("text", [APOLOGY, "库存不足", "Sorry, OUT OF STOCK."])
def test_apology_in_the_place_of_a_key_is_a_failed_attempt(text: str) -> None:
    """The shop says delivered; the buyer has nothing, so the order goes on waiting."""
    decoded = read(secret=text)
    (event,) = decoded.events
    assert (event.type, event.reason) == ("delivery.failed", "delivered_without_goods")
    assert event.goods == ()
    assert any("apology" in line for line in decoded.warnings)


def test_key_that_speaks_of_stock_in_a_long_text_is_a_key() -> None:
    """Instructions may say anything; an apology is short."""
    assert event_of(secret="KEY-1 " + "缺货时请联系客服 " * 30).type == "delivery.delivered"


def test_goods_of_other_events_are_not_even_named() -> None:
    """What a payment carries as secret is dropped as ever."""
    assert event_of(type="order.paid", secret="KEY-1").goods == ()


def test_number_of_a_payment_is_kept_as_a_digest() -> None:
    """It tells a repeated notice from a second payment, and is nobody's business."""
    event = event_of(type="order.paid", payment_id="2026112312345")
    assert event.payment == "<13:5>"


def test_nothing_of_the_text_is_in_the_event() -> None:
    """Only digests leave the door."""
    event = event_of(cards=["KEY-SECRET"], quantity=2, payment_id="PAY-SECRET")
    assert "SECRET" not in repr(event)
