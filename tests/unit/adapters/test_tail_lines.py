"""Lines of somebody's log become flat events: by paths, by groups, with what values mean."""

import json
from typing import Any

import pytest

from monitor.adapters.tail_lines import reader_of
from monitor.model.errors import InputError
from monitor.model.tails import Line, TailField, TailSource

PATTERN = r"^(?P<at>\S+ \S+) (?P<order>\S+) (?P<what>\w+)(?: (?P<price>[0-9.]+))?"
STATES = {"4": "delivery.delivered", "2": "order.paid"}


def read(raw: object, *fields: TailField, pattern: str | None = None) -> Any:
    """What one line is."""
    text = raw if isinstance(raw, str) else json.dumps(raw)
    tail = TailSource("shop", "shop.log", pattern, fields, "CNY")
    return reader_of(tail)(Line(7, "0:120", text.encode()))


def test_line_of_our_own_is_taken_as_it_is() -> None:
    """What an emitter writes into its spool; only what has neither id nor time gets its place as id."""
    event = {"type": "order.paid", "order_id": "A1", "id": "e1", "card": "x"}
    assert read(event) == event
    assert read({"type": "order.paid", "time": "2026-01-05T02:00:00Z"}).get("id") is None
    assert read({"type": "order.paid"})["id"] == "line/0:120"


def test_fields_are_found_by_their_paths_and_nothing_else_is_taken() -> None:
    """Numbers, nested objects, constants, values with a meaning, prices in major units."""
    line = {
        "order": {"sn": 17, "state": 4, "price": "9.90", "kami": "SECRET"},
        "ts": 1_767_578_400, "secret": "SECRET", "vip": True,
    }  # fmt: skip
    found = read(
        line,
        TailField("type", ("order", "state"), STATES),
        TailField("order_id", ("order", "sn")),
        TailField("time", ("ts",)),
        TailField("channel", constant="auto"),
        TailField("amount", ("order", "price")),
        TailField("sku", ("order", "sku")),
        TailField("customer_tier", ("vip",), {"true": "vip"}, "normal"),
    )
    assert found == {
        "type": "delivery.delivered", "order_id": "17", "time": "2026-01-05T02:00:00.000+00:00",
        "channel": "auto", "amount_minor": 990, "customer_tier": "vip",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("written", "time"),
    [
        (1_767_578_400_123, "2026-01-05T02:00:00.123+00:00"),
        ("1767578400.5", "2026-01-05T02:00:00.500+00:00"),
        ("2026-01-05 10:00:00", "2026-01-05 10:00:00"),
        ("20260105", "20260105"),
    ],
)
def test_time_may_be_a_number(written: object, time: str) -> None:
    """Seconds or milliseconds since 1970; a text is left for the decoder, which knows the zone."""
    paid = TailField("type", constant="order.paid")
    assert read({"at": written}, paid, TailField("time", ("at",)))["time"] == time


@pytest.mark.parametrize("state", [3, None, "unknown", [4]])
def test_line_with_another_state_is_no_event(state: object) -> None:
    """A status that nothing was said about is passed over, and is no mistake."""
    assert read({"state": state, "id": "x"}, TailField("type", ("state",), STATES)) is None


def test_groups_of_a_pattern_are_its_fields() -> None:
    """A group that did not take part is a field that is not there."""
    fields = (
        TailField("type", ("what",), {"paid": "order.paid"}),
        TailField("order_id", ("order",)),
        TailField("time", ("at",)),
        TailField("amount", ("price",)),
    )
    found = read("2026-01-05 10:00:00 订单7 paid 0.1", *fields, pattern=PATTERN)
    expected = {"type": "order.paid", "order_id": "订单7", "time": "2026-01-05 10:00:00"}
    assert found == expected | {"amount_minor": 10}
    assert read("2026-01-05 10:00:00 订单7 paid", *fields, pattern=PATTERN) == expected
    assert read("2026-01-05 10:00:00 订单7 viewed", *fields, pattern=PATTERN) is None
    assert read("PHP Notice: something", *fields, pattern=PATTERN) is None


@pytest.mark.parametrize(
    ("raw", "code"),
    [("{", "bad_json"), ("[1]", "not_an_object"), ('{"price": "free"}', "bad_field")],
)
def test_line_that_should_be_an_event_and_is_none_is_an_error(raw: str, code: str) -> None:
    """It says what is wrong, and never what the line says."""
    fields = (TailField("type", constant="order.paid"), TailField("amount", ("price",)))
    with pytest.raises(InputError) as refused:
        read(raw, *fields)
    assert refused.value.code == code
    assert "free" not in str(refused.value)


def test_line_that_is_too_long_is_an_error() -> None:
    """Nobody has read it."""
    with pytest.raises(InputError) as refused:
        reader_of(TailSource("shop", "shop.log"))(Line(1, "0:0", None))
    assert refused.value.code == "too_long"
