"""No body of any kind raises, loses a neighbour, leaks a secret or gives an event out of bounds."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.api.decode import Decoded
from monitor.api.decode_event import decode_object, decode_text
from monitor.api.decode_types import DecodeContext, Notes
from monitor.model.events import LIFECYCLE_RANK
from tests.shared_data import SHARED
from tests.unit.api.samples import (
    BATCH,
    CLOUD,
    JSON,
    LINES,
    RECEIVED_MS,
    SOURCES,
    cloud_event,
    paid,
    send,
)

SAMPLES = SHARED / "samples"
KINDS = st.sampled_from([JSON, CLOUD, BATCH, LINES, "text/plain", ""])
CONTEXT = DecodeContext(RECEIVED_MS, "default", SOURCES)

NAMES = st.sampled_from(
    [
        "type",
        "id",
        "order_id",
        "subject",
        "source",
        "time",
        "data",
        "channel",
        "sku",
        "quantity",
        "amount_minor",
        "meaning",
        "speed",
        "attempt",
        "reason",
        "promise_s",
        "card",
        "specversion",
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([*LIFECYCLE_RANK, "paid", "express", "2026-01-05T02:00:00Z", "1.0", ""])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(), inner, max_size=4)
    ),
    max_leaves=8,
)
EVENTS = st.dictionaries(NAMES | st.text(max_size=5), VALUES, max_size=12)


def assert_sound(decoded: Decoded) -> None:
    """What must hold for every request, whatever it was."""
    positions = [*decoded.indexes, *(one.index for one in decoded.rejected)]
    assert sorted(positions) == list(range(len(positions)))
    assert len(decoded.events) == len(decoded.indexes) <= 1_000
    for event in decoded.events:
        assert event.type in LIFECYCLE_RANK
        assert event.event_id
        assert len(event.order_id) <= 128
        assert bool(event.order_id) == (event.type != "source.heartbeat")
        assert 0 <= event.time_ms <= RECEIVED_MS + 300_000
    for one in decoded.rejected:
        assert one.code
        assert one.pointer == "" or one.pointer.startswith("/")
    # The answer can always be written as JSON: no lone surrogate, no number out of range.
    json.dumps([decoded.warnings, [one.detail for one in decoded.rejected]]).encode()
    "".join(decoded.warnings).encode()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), KINDS)
def test_random_bytes_never_raise(body: bytes, kind: str) -> None:
    """Bytes of any kind give a sound answer."""
    assert_sound(send(body, kind))


@settings(max_examples=100, deadline=None)
@given(st.lists(EVENTS, max_size=4), st.sampled_from([JSON, BATCH]))
def test_json_of_odd_shapes_never_raises(events: list[dict[str, Any]], kind: str) -> None:
    """Known names with wrong values, in every combination; the count is always complete."""
    body = json.dumps(events).encode()
    decoded = send(body, kind)
    assert_sound(decoded)
    assert len(decoded.events) + len(decoded.rejected) == len(events)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutated_batch_never_raises(data: st.DataObject) -> None:
    """Flipped, cut and doubled bytes of a good batch."""
    body = bytearray(json.dumps([paid("A1", sku="S"), cloud_event(), paid("A2")]).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        piece = data.draw(st.binary(max_size=3) | st.sampled_from([b'"', b"{", b"]", b",", b"\\"]))
        body[at : at + data.draw(st.integers(0, 3))] = piece
        if not body:
            break
    assert_sound(send(bytes(body), data.draw(KINDS)))


@settings(max_examples=300, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(sorted(LIFECYCLE_RANK)),
            "order_id": st.text("Aé单1-", min_size=1),
        },
        optional={
            "id": st.text("xyz", max_size=4),
            "time": st.sampled_from(["2026-01-05T02:00:00Z", "2026-01-05 02:00:00", ""]),
            "sku": st.text(max_size=6),
            "quantity": st.integers(-1, 5),
            "amount_minor": st.integers(-(2**63), 2**63 - 1),
            "meaning": st.sampled_from(["paid", "waiting", ""]),
            "promise_s": st.floats(0.001, 1e6),
        },
    )
)
def test_straight_and_suspicious_decoding_agree(event: dict[str, Any]) -> None:
    """The quick path is only quicker: the careful one gives the same event or the same refusal."""
    raw = json.dumps(event, ensure_ascii=False).encode()
    straight = send(raw)
    careful_notes = Notes()
    if straight.events:
        assert decode_object(json.loads(raw), CONTEXT, careful_notes) == straight.events[0]
        assert careful_notes.warnings() == straight.warnings
        nested: dict[str, Any] = {key: event[key] for key in ("type", "id", "time") if key in event}
        nested["data"] = {key: value for key, value in event.items() if key not in nested}
        text = json.dumps(nested, ensure_ascii=False).encode()
        assert decode_text(text, CONTEXT, Notes()) == straight.events[0]
    else:
        assert straight.rejected[0].code in {"bad_field", "missing_order_id", "bad_characters"}


ORDER_OF_A_SHOP = b"""{"id": 963, "status": "processing", "date_paid": "2026-01-05T10:00:00",
"total": "31.20", "billing": {"email": "a@example.org"}, "line_items": [{"id": 890, "sku": ""}],
"meta_data": [{"key": "_card", "value": {"nested": [1, 2.5, null]}}]}"""


def _payloads() -> dict[str, bytes]:
    """The recorded payloads where they are at hand, and one written for this test anywhere."""
    recorded = {path.name: path.read_bytes() for path in sorted(SAMPLES.glob("*.json"))}
    return {"order_of_a_shop": ORDER_OF_A_SHOP} | recorded


@pytest.mark.parametrize("name", _payloads())
def test_payload_of_another_product_is_refused_soundly(name: str) -> None:
    """Webhook bodies of real shops sent to the wrong address: a clear refusal, no exception."""
    body = _payloads()[name]
    for kind in (JSON, BATCH, LINES):
        decoded = send(body, kind)
        assert_sound(decoded)
        assert decoded.rejected
        assert decoded.events == ()


@pytest.mark.parametrize("name", _payloads())
def test_payload_inside_an_event_is_left_out(name: str) -> None:
    """A shop that ships its whole order beside the event is understood without it."""
    payload = json.loads(_payloads()[name])
    decoded = send(paid(payload=payload))
    assert [event.order_id for event in decoded.events] == ["A1"]
    assert "unknown fields were left out: payload" in decoded.warnings


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_mutated_payload_as_data_never_raises(data: st.DataObject) -> None:
    """The data of an event may be anything, mutated or not."""
    content = data.draw(st.sampled_from(sorted(_payloads().items())))[1][:20_000]
    at = data.draw(st.integers(0, len(content) - 1))
    mutated = content[:at] + data.draw(st.binary(max_size=4)) + content[at + 1 :]
    body = b'{"type":"order.paid","order_id":"A1","data":' + mutated + b"}"
    assert_sound(send(body))
