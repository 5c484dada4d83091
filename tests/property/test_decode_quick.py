"""The quick way of decoding is only quicker: the careful one comes to the same, event by event."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.api.decode import decode
from monitor.api.decode_clean import parse_object
from monitor.api.decode_event import decode_object
from monitor.api.decode_quick import quick_ms, read_array, read_lines, read_one
from monitor.api.decode_types import DecodeContext, Notes
from monitor.model.errors import InputError
from monitor.model.event_time import resolve_time
from monitor.model.events import LIFECYCLE_RANK, OrderEvent
from tests.unit.api.samples import JSON, LINES, RECEIVED_MS, SOURCES, cloud_event, paid

CONTEXTS = [DecodeContext(RECEIVED_MS, name, SOURCES) for name in ("default", "shop", "other")]
TIMES = st.sampled_from(
    [
        "2026-01-05T02:00:00Z",
        "2026-01-05T10:00:00+08:00",
        "2026-01-05T02:00:00.123Z",
        "2026-01-05T01:59:59.999999-00:30",
        "2026-01-05 02:00:00",
        "2026-01-05T02:00:00",
        "2026-01-05T02:00:60Z",
        "2026-01-05t02:00:00z",
        "2026-01-05T02:00:00.1234567Z",
        "2026-01-05T02:10:00Z",
        "2026-13-05T02:00:00Z",
        "1969-12-31T23:59:59Z",
        "",
    ]
)
TEXTS = st.text('aé单“\u0085\u202e /\\"\x7f', max_size=3) | st.sampled_from(["data", '"data"'])
FIELDS = {
    "id": st.text("xyz ", max_size=3),
    "time": TIMES,
    "provider": TEXTS,
    "source": st.sampled_from(["shop", "other", "unknown", ""]),
    "sku": TEXTS,
    "channel": TEXTS,
    "quantity": st.integers(-1, 5),
    "amount_minor": st.integers(-(2**63) - 1, 2**63),
    "meaning": st.sampled_from(["paid", "waiting", ""]),
    "promise_s": st.floats(0.001, 1e6) | st.integers(1, 60),
    "reason": TEXTS,
    "card_no": TEXTS,
    "traceparent": st.sampled_from(["00-" + "a" * 32 + "-" + "b" * 16 + "-01", "00-a-b-01"]),
    "specversion": st.sampled_from(["1.0", "1.1", "0.3"]),
}
ORDINARY = st.fixed_dictionaries(
    {
        "type": st.sampled_from(sorted(LIFECYCLE_RANK)),
        "order_id": st.sampled_from(["A1", "B2"]),
        "id": st.sampled_from(["e1", "e2"]),
        "time": st.sampled_from(["2026-01-05T02:00:00Z", "2026-01-05T10:00:00+08:00"]),
    }
)
ODD = FIELDS | {
    "type": st.sampled_from(["order.payed", ""]),
    "order_id": TEXTS | st.just(" "),
    "subject": st.sampled_from(["A1", "B2"]),
}
# Mostly ordinary: what is odd about an event is then all that is odd.
CHANGES = st.one_of(*(st.builds(lambda n, v: {n: v}, st.just(n), v) for n, v in ODD.items()))
FLAT = st.builds(
    lambda event, changes: event | {name: one[name] for one in changes for name in one},
    ORDINARY,
    st.lists(CHANGES, max_size=2),
)
BESIDE = ("type", "id", "source", "subject", "time", "traceparent", "specversion")


def nested(event: dict[str, Any]) -> dict[str, Any]:
    """The same event with its attributes in `data`."""
    outside = {name: value for name, value in event.items() if name in BESIDE}
    return outside | {"data": {name: event[name] for name in event if name not in BESIDE}}


def careful(text: bytes, context: DecodeContext, notes: Notes) -> OrderEvent | tuple[str, str]:
    """What the careful way makes of one event, or why it refuses."""
    try:
        return decode_object(parse_object(text), context, notes)
    except InputError as error:
        return error.code, error.pointer


def bodies(texts: list[bytes]) -> list[tuple[bytes, str]]:
    """The events as an array and as lines."""
    return [(b"[" + b", ".join(texts) + b"]", JSON), (b"\r\n".join(texts) + b"\n", LINES)]


@settings(max_examples=600, deadline=None)
@given(
    st.lists(FLAT, min_size=1, max_size=4),
    st.booleans(),
    st.booleans(),
    st.sampled_from(CONTEXTS),
)
def test_quick_and_careful_decoding_agree_on_every_event(
    events: list[dict[str, Any]], is_nested: bool, is_escaped: bool, context: DecodeContext
) -> None:
    """Events, codes, pointers and warnings are those of decoding every event alone with care."""
    shaped = [nested(event) for event in events] if is_nested else events
    texts = [json.dumps(one, ensure_ascii=is_escaped).encode() for one in shaped]
    notes = Notes()
    expected = [careful(text, context, notes) for text in texts]
    for body, kind in bodies(texts):
        decoded = decode(body, kind, {}, context)
        found: list[Any] = [None] * len(texts)
        for index, event in zip(decoded.indexes, decoded.events, strict=True):
            found[index] = event
        for one in decoded.rejected:
            found[one.index] = (one.code, one.pointer.removeprefix(f"/{one.index}"))
        assert found == expected
        assert decoded.warnings == notes.warnings()


def test_ordinary_bodies_take_the_quick_way() -> None:
    """Flat and nested, alone, as array and as lines, with a PHP shop's escapes and Chinese names."""
    for event in (paid(sku="礼品卡", source="/shops/main"), cloud_event()):
        for text in (
            json.dumps(event, ensure_ascii=False).encode(),
            json.dumps(event).replace("/", "\\/").encode(),
        ):
            assert read_one(text) is not None
            assert read_array(b"[" + text + b"," + text + b"]") is not None
            assert read_lines(text + b"\n" + text + b"\n") is not None


@pytest.mark.parametrize(
    "lines",
    [
        b'{"type":"order.paid"}{"type":"order.paid"}',
        b'{"type":"order.paid"} {"type":"order.paid"}\n\n{"type":"order.paid"}',
        b'{"type":"order.paid"}\n\n{"type":"order.paid"}',
        b'{"type":\n"order.paid"}{"type":"order.paid"}',
        b'{"type":"order.paid",\n"id":"a"}',
        b'{"type":"order.paid"}\n',
    ],
)
def test_lines_are_read_quickly_only_with_one_whole_event_each(lines: bytes) -> None:
    """What is more or less than one event a line is nobody's to guess."""
    assert (read_lines(lines) is not None) == (lines == b'{"type":"order.paid"}\n')


@pytest.mark.parametrize(
    "text",
    [
        b'{"type":"order.paid","order_id":"A","order_id":"B"}',
        b'{"type":"order.paid","sku":"\\u0022\\u0022","order_id":"A","order_id":"B"}',
        b'{"type":"order.paid","sku":"\\"\\"","order_id":"A","order_id":"B"}',
        b'{"type":"order.paid","sku":"\\\\/","order_id":"A"}',
        b'{"type":"order.paid","order_id":"A\\u0085"}',
        b'{"type":"order.paid","order_id":"\\u202e"}',
        b'{"type":"order.paid","\\u006frder_id":"A"}',
    ],
)
def test_text_with_a_doubled_key_or_an_odd_escape_is_read_with_care(text: bytes) -> None:
    """Neither a key that stands twice nor a hidden character passes as ordinary."""
    assert read_one(text) is None
    assert read_array(b"[" + text + b"]") is None
    assert read_lines(text) is None


def test_thousand_and_one_events_are_not_read_quickly() -> None:
    """The limit of a request holds before a list of events is made."""
    text = json.dumps(paid()).encode()
    assert read_array(b"[" + b",".join([text] * 1_000) + b"]") is not None
    assert read_array(b"[" + b",".join([text] * 1_001) + b"]") is None
    assert read_lines(b"\n".join([text] * 1_000)) is not None
    assert read_lines(b"\n".join([text] * 1_001)) is None
    assert read_array(b"[" + b",".join([b"{}"] * 100_000) + b"]") is None


@settings(max_examples=500, deadline=None)
@given(
    st.builds(
        "{}{}{}".format,
        TIMES | st.sampled_from(["2026-W01-1T02:00:00Z", "2026-01-05T020000.0Z", "20260105T02"]),
        st.sampled_from(["", "Z", "+08:00", "+0800", "-00:30", "+08:00:30", ".5Z", ",5Z"]),
        st.sampled_from(["", " ", "0"]),
    )
)
def test_quick_time_is_the_careful_time_or_none(text: str) -> None:
    """Every form that is read quickly means the same to the careful way."""
    quick = quick_ms(text) if text else -1
    if quick >= 0:
        latest_ms = 10**14
        assert resolve_time(text, latest_ms, None).time_ms == quick
