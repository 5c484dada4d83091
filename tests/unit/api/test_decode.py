"""Every format of the contract becomes the same events; bad ones leave the good ones alone."""

import base64
import json
from typing import Any

import pytest

from monitor.model.events import OrderEvent
from tests.unit.api.samples import (
    BATCH,
    CLOUD,
    JSON,
    LINES,
    RECEIVED_MS,
    TIME,
    TIME_MS,
    cloud_event,
    paid,
    refusals,
    send,
)

EXPECTED = OrderEvent(
    type="order.paid",
    order_id="A1",
    source="/shops/main",
    event_id="e1",
    time_ms=TIME_MS,
    received_ms=RECEIVED_MS,
    channel="auto",
    amount_minor=990,
)
FLAT = paid(source="/shops/main", channel="auto", amount_minor=990)
BINARY_HEADERS = {
    "CE-SpecVersion": "1.0",
    "ce-type": "order.paid",
    "ce-source": "/shops/main",
    "ce-id": "e1",
    "ce-subject": "A1",
    "ce-time": TIME,
}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (cloud_event(), CLOUD),
        (cloud_event(), "Application/CloudEvents+JSON; charset=evil"),
        ([cloud_event()], BATCH),
        ([cloud_event()], "application/cloudevents-BATCH+json;charset=utf-8"),
        (cloud_event(), JSON),
        (FLAT, JSON),
        ([FLAT], JSON),
        (
            cloud_event(subject=None, data={"order_id": "A1", "channel": "auto"}, amount_minor=990),
            JSON,
        ),
        (b"\xef\xbb\xbf " + json.dumps(FLAT).encode() + b"\r\n", JSON),
        (json.dumps(FLAT, indent=2).encode(), JSON),
        (b"\n\n" + json.dumps(FLAT).encode() + b"\r\n\n", LINES),
        (b"".join(rb"\u%04x" % ord(c) if c == "A" else c.encode() for c in json.dumps(FLAT)), JSON),
    ],
)
def test_event_in_any_json_format_is_the_same_event(body: object, content_type: str) -> None:
    """Structured, batch, bare object, array, mixed nesting, lines, escapes: one canonical form."""
    decoded = send(body, content_type)
    assert (decoded.events, decoded.rejected, decoded.warnings) == ((EXPECTED,), (), ())
    assert decoded.indexes == (0,)


@pytest.mark.parametrize("content_type", [JSON, "", "application/vnd.shop+json"])
def test_event_in_binary_mode_is_the_same_event(content_type: str) -> None:
    """Attributes come from `ce-*` headers in any case, the data from the body."""
    body = b'{"channel":"auto","amount_minor":990}'
    assert send(body, content_type, BINARY_HEADERS).events == (EXPECTED,)


def test_binary_headers_are_percent_decoded_once() -> None:
    """`%2541` is `%41`, Chinese is UTF-8, quotation marks around the value are not part of it."""
    headers = BINARY_HEADERS | {"ce-subject": "%E8%AE%A2%E5%8D%95%2541 100%", "ce-id": '"a\\"b"'}
    event = send(b"", JSON, headers).events[0]
    assert (event.order_id, event.event_id) == ("订单%41 100%", 'a"b')


@pytest.mark.parametrize("value", ["%FF", "%C0%AF", "%ED%A0%80", "\udcff"])
def test_binary_header_that_is_not_utf8_is_refused(value: str) -> None:
    """Invalid and overlong UTF-8 and surrogates are no text."""
    assert refusals(send(b"", JSON, BINARY_HEADERS | {"ce-subject": value})) == [
        (0, "bad_header", "")
    ]


def test_binary_data_problems_point_into_the_body() -> None:
    """Binary mode keeps the pointers of the structured one; extra headers only warn."""
    decoded = send(b'{"quantity":"two"}', JSON, BINARY_HEADERS)
    assert refusals(decoded) == [(0, "bad_field", "/data/quantity")]
    assert refusals(send(b"{", JSON, BINARY_HEADERS)) == [(0, "bad_json", "/data")]
    extra = send(b"{}", JSON, BINARY_HEADERS | {"ce-sequence": "1"})
    assert extra.warnings == ("unknown fields were left out: ce-sequence",)


def test_base64_data_is_read_and_excludes_data() -> None:
    """A CloudEvent may carry its data as base64."""
    event = cloud_event(data=None)
    event["data_base64"] = base64.b64encode(b'{"channel":"auto","amount_minor":990}').decode()
    assert send(event, CLOUD).events == (EXPECTED,)
    event["data_base64"] = "%%%"
    assert refusals(send(event, CLOUD)) == [(0, "bad_field", "/data_base64")]


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/cloudevents+avro", "multipart/form-data"]
)
def test_unsupported_content_type_is_refused_whole(content_type: str) -> None:
    """Nothing is guessed from the body."""
    assert refusals(send(FLAT, content_type)) == [(0, "unsupported_media_type", "")]


@pytest.mark.parametrize(("body", "content_type"), [([], JSON), ([], BATCH), (b"\n", LINES)])
def test_empty_batch_is_nothing(body: object, content_type: str) -> None:
    """No events is not an error."""
    decoded = send(body, content_type)
    assert (decoded.events, decoded.rejected) == ((), ())


def test_thousand_events_are_taken_and_one_more_is_not() -> None:
    """The limit is 1,000 events a request, in arrays and in lines."""
    thousand = [paid(id=str(number)) for number in range(1_000)]
    assert len(send(thousand).events) == 1_000
    assert refusals(send([*thousand, paid()])) == [(0, "too_many_events", "")]
    lines = b"{}\n" * 1_001
    assert refusals(send(lines, LINES)) == [(0, "too_many_events", "")]


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"type": None}, "missing_type", "/type"),
        ({"type": ""}, "missing_type", "/type"),
        ({"type": 5}, "bad_field", "/type"),
        ({"type": "order.payed"}, "unknown_type", "/type"),
        ({"order_id": None}, "missing_order_id", "/order_id"),
        ({"order_id": None, "data": {}}, "missing_order_id", "/data/order_id"),
        ({"order_id": " "}, "missing_order_id", "/order_id"),
        ({"order_id": "x" * 129}, "bad_field", "/order_id"),
        ({"order_id": 17}, "bad_field", "/order_id"),
        ({"order_id": "a\nb"}, "bad_characters", "/order_id"),
        ({"order_id": "a\u2028b"}, "bad_characters", "/order_id"),
        ({"order_id": "a\x7fb"}, "bad_characters", "/order_id"),
        ({"order_id": "a\ud800b"}, "bad_characters", "/order_id"),
        ({"id": "x" * 129}, "bad_field", "/id"),
        ({"id": "a\x00b"}, "bad_characters", "/id"),
        ({"time": "yesterday"}, "bad_time", "/time"),
        ({"time": 1_767_578_400}, "bad_field", "/time"),
        ({"amount_minor": 9.9}, "bad_field", "/amount_minor"),
        ({"amount_minor": 2**63}, "bad_field", "/amount_minor"),
        ({"data": {"amount_minor": "9.90"}}, "bad_field", "/data/amount_minor"),
        ({"data": {"amount_minor": True}}, "bad_field", "/data/amount_minor"),
        ({"data": "{}"}, "bad_field", "/data"),
        ({"data": []}, "bad_field", "/data"),
        ({"meaning": "maybe"}, "bad_field", "/meaning"),
        ({"outcome": "fine"}, "bad_field", "/outcome"),
        ({"customer_tier": "gold"}, "bad_field", "/customer_tier"),
        ({"speed": "warp"}, "bad_field", "/speed"),
        ({"fulfilment": "magic"}, "bad_field", "/fulfilment"),
        ({"quantity": -1}, "bad_field", "/quantity"),
        ({"channel": "x" * 257}, "bad_field", "/channel"),
        ({"channel": {"name": "x"}}, "bad_field", "/channel"),
        ({"channel": "a\u0000b"}, "bad_characters", "/channel"),
        ({"promise_s": 0}, "bad_field", "/promise_s"),
        ({"promise_s": -5}, "bad_field", "/promise_s"),
        ({"promise_s": 34_560_001}, "bad_field", "/promise_s"),
        ({"promise_s": "60"}, "bad_field", "/promise_s"),
        ({"specversion": "0.3"}, "bad_specversion", "/specversion"),
    ],
)
def test_bad_event_is_rejected_with_pointer_and_good_neighbours_are_kept(
    fields: dict[str, Any], code: str, pointer: str
) -> None:
    """The pointer leads to the culprit, with the index of the event in front."""
    body = [paid("A1"), paid("A2", **fields), paid("A3")]
    decoded = send(body)
    assert refusals(decoded) == [(1, code, f"/1{pointer}")]
    assert [event.order_id for event in decoded.events] == ["A1", "A3"]
    assert decoded.indexes == (0, 2)
    alone = send(body[1])
    assert refusals(alone) == [(0, code, pointer)]


def test_bad_line_does_not_spoil_the_others() -> None:
    """Lines are counted without the blank ones."""
    good = json.dumps(paid()).encode()
    decoded = send(good + b"\n\n{broken\n" + good + b"\n[]\n", LINES)
    assert refusals(decoded) == [(1, "bad_json", "/1"), (3, "not_an_object", "/3")]
    assert decoded.indexes == (0, 2)


def test_unknown_type_gets_a_suggestion() -> None:
    """The detail names the closest type; the event is not taken."""
    decoded = send(paid(type="Order.payed"))
    assert decoded.rejected[0].detail == "unknown type 'Order.payed'; did you mean 'order.paid'?"
    assert send(paid(type="xyz")).rejected[0].detail == "unknown type 'xyz'"


def test_rejection_never_repeats_the_value() -> None:
    """What somebody put into the wrong field may be a card key."""
    for field in ("meaning", "quantity", "promise_s", "data", "time"):
        decoded = send(paid(**{field: "KEY-1234-5678"}))
        assert "KEY-1234" not in repr(decoded)


@pytest.mark.parametrize("nested", [True, False])
def test_card_secrets_are_dropped_and_only_their_names_told(nested: bool) -> None:
    """Names that look like card secrets go first, in any case and at any depth."""
    secrets: dict[str, Any] = {
        "order_info": "KEY-1",
        "Secret": "KEY-2",
        "CARD": ["KEY-3"],
        "carmis": {"Kami": "KEY-4"},
        "cardNo": "KEY-5",
        "goods": [{"list": [{"passWord": "KEY-6"}]}],
    }
    decoded = send(cloud_event(data=secrets) if nested else paid(**secrets))
    assert len(decoded.events) == 1
    assert "KEY-" not in repr(decoded)
    names = "order_info, Secret, CARD, carmis, Kami, cardNo, passWord"
    assert decoded.warnings == (
        f"fields that look like card secrets were dropped: {names}",
        "unknown fields were left out: goods",
    )
    assert (decoded.secret_fields, decoded.unknown_fields) == (7, 1)


def test_unknown_fields_are_counted_and_twenty_are_named() -> None:
    """The event is taken without them; names are made printable."""
    first = paid(colour="red", data={"colour": "blue"}) | {f"x{n:02}": n for n in range(25)}
    decoded = send([first, paid() | {"last": 1}])
    assert len(decoded.events) == 2
    (warning,) = decoded.warnings
    assert warning.startswith("unknown fields were left out: colour (2x), x00, x01,")
    assert warning.endswith("x18 and 7 more")
    assert decoded.unknown_fields == 28
    assert send(paid() | {"a\nb\ud800": 1}).warnings == ("unknown fields were left out: a?b?",)


@pytest.mark.parametrize("reason", ["", "late"])  # read the quick way, and event by event
def test_channel_that_is_not_configured_is_named(reason: str) -> None:
    """A misspelt channel would be a channel of its own; where none is configured any is as good."""

    def warned(channel: str, *channels: str) -> tuple[str, ...]:
        decoded = send(paid(channel=channel, reason=reason), channels=channels)
        assert decoded.events[0].channel == channel
        return decoded.warnings

    told = ("channels that are not configured: auot; misspelt?",)
    assert warned("auot", "auto", "pool") == told
    assert warned("auto", "auto") == warned("external", "auto") == warned("auot") == ()


def test_null_and_empty_text_mean_absent() -> None:
    """PHP shops send both for what they do not have."""
    decoded = send(
        paid(source="", channel=None, sku="", meaning="", data=None, quantity=None, subject="")
    )
    (event,) = decoded.events
    assert (event.source, event.channel, event.sku, event.meaning) == ("default", None, None, None)
    assert (decoded.warnings, event.order_id) == ((), "A1")


def test_all_fields_arrive() -> None:
    """Every optional attribute of the contract is carried, the promise in milliseconds."""
    data = {
        "meaning": "paid",
        "outcome": "ok",
        "takeover_id": "t1",
        "channel": "自动",
        "sku": "S",
        "quantity": 2,
        "amount_minor": -(2**63),
        "currency": "CNY",
        "provider": "epay",
        "customer_tier": "vip",
        "speed": "express",
        "fulfilment": "manual",
        "region": "EU",
        "attempt": 3,
        "reason": "r",
        "promise_s": 0.5,
        "customer_hash": "h",
    }
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    nested = send(cloud_event(data=data, traceparent=traceparent, type="payment.callback"), CLOUD)
    (event,) = nested.events
    carried = {name: getattr(event, name) for name in data if name != "promise_s"}
    assert carried == {name: value for name, value in data.items() if name != "promise_s"}
    assert (event.promise_ms, event.traceparent) == (500, traceparent)


def test_long_reason_is_cut_and_malformed_traceparent_dropped() -> None:
    """A failure with a long message is still a failure."""
    decoded = send(paid(reason="x\n" * 200, traceparent="nonsense"))
    assert decoded.events[0].reason == "x " * 128
    assert decoded.events[0].traceparent is None
    assert decoded.warnings == (
        "reason was cut to 256 characters",
        "traceparent is malformed and was left out",
    )


def test_subject_wins_over_a_different_order_id_with_a_warning() -> None:
    """Two ids for one event are told, not refused."""
    decoded = send(cloud_event(data={"order_id": "B2"}), CLOUD)
    assert decoded.events[0].order_id == "A1"
    assert decoded.warnings == ("subject and order_id differ: subject was used",)


def test_heartbeat_needs_no_order_and_is_never_a_duplicate() -> None:
    """A heartbeat concerns its source only."""
    (event,) = send({"type": "source.heartbeat", "id": "h", "time": TIME}, source="shop").events
    assert (event.order_id, event.source, event.is_unique) == ("", "shop", True)


def test_missing_id_gets_a_content_hash_that_ignores_spelling_and_trace() -> None:
    """Key order, format, zone, arrival and trace do not change what was said; a field does."""
    base = {"type": "order.paid", "order_id": "A1", "time": TIME, "sku": "S"}
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    same: list[dict[str, Any]] = [
        base,
        dict(reversed(base.items())),
        {"type": "order.paid", "subject": "A1", "time": TIME, "data": {"sku": "S"}},
        base | {"time": "2026-01-05T10:00:00+08:00"},
        base | {"traceparent": trace, "colour": "red"},
    ]
    ids = [event.event_id for event in send(same).events]
    assert len(ids) == len(same)
    assert len(set(ids)) == 1
    other = send([base | {"sku": "T"}, base | {"order_id": "A2"}, base | {"source": "x"}])
    assert len({ids[0], *(event.event_id for event in other.events)}) == 4
    assert not any(event.is_unique for event in send(same).events)


def test_event_without_id_and_time_is_unique_but_with_id_is_not() -> None:
    """A repeated request with an id stays harmless even if it carries no time."""
    (bare,) = send({"type": "order.paid", "order_id": "A1"}).events
    assert (bare.is_unique, bare.is_inferred, bare.time_ms) == (True, True, RECEIVED_MS)
    assert bare.event_id
    (named,) = send({"type": "order.paid", "order_id": "A1", "id": "e1"}).events
    assert (named.is_unique, named.is_inferred) == (False, True)


def test_created_means_paid_comes_from_the_settings_of_the_source() -> None:
    """Only `order.created` of a source configured so; the key's source counts as well."""
    created = {"type": "order.created", "order_id": "A1", "id": "e", "time": TIME}
    cases = [
        (created, "shop", True),
        (created | {"source": "shop"}, "default", True),
        (created | {"source": "/shops/main"}, "shop", True),
        (created, "other", False),
        (created, "default", False),
        (paid(), "shop", False),
    ]
    for body, source, expected in cases:
        assert send(body, source=source).events[0].created_means_paid is expected


def test_key_of_one_source_cannot_speak_for_another() -> None:
    """A configured source's events come with its own key, or with one bound to no source."""
    assert refusals(send(paid(source="shop"), source="other")) == [(0, "wrong_source", "/source")]
    assert send(paid(source="shop"), source="default").rejected == ()
