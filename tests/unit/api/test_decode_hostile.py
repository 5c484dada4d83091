"""Bodies made to hurt: refused with a code, and the good events beside them survive."""

import json

import pytest

from tests.unit.api.samples import BATCH, CLOUD, JSON, LINES, paid, refusals, send

GOOD = json.dumps(paid()).encode()
BOMB = b"[" * 60_000
HOSTILE = [
    (b'{"type":"order.paid","order_id":"A","amount_minor":NaN}', "bad_json"),
    (b'{"type":"order.paid","order_id":"A","amount_minor":-Infinity}', "bad_json"),
    (b'{"type":"order.paid","order_id":"A","promise_s":1e999}', "bad_field"),
    (b'{"type":"order.paid","order_id":"A","amount_minor":' + b"9" * 60_000 + b"}", "bad_json"),
    (b'{"type":"order.paid","order_id":"A","amount_minor":' + b"9" * 30 + b"}", "bad_field"),
    (b'{"type":"order.paid","order_id":"\xff"}', "bad_json"),
    (b'{"type":"order.paid","order_id":"\xed\xa0\x80"}', "bad_json"),
    (b'{"type":"order.paid","order_id":"\\ud800"}', "bad_characters"),
    (b'{"type":"order.paid","order_id":"A","promise_s":"\\ud800"}', "bad_characters"),
    (b'{"type":"order.paid","order_id":"A\x7f"}', "bad_characters"),
    ('{"type":"order.paid","order_id":"A\u2028"}'.encode(), "bad_characters"),
    ('{"type":"order.paid","order_id":"A","data":{"sku":"\u202e"}}'.encode(), "bad_characters"),
    (b'{"type":"order.paid","order_id":"A","order_id":"B"}', "duplicate_key"),
    (b'{"type":"order.paid","order_id":"A","order_id":"A"}', "duplicate_key"),
    (b'{"type":"order.paid","order_id":"A","data":{"sku":"a","sku":"b"}}', "duplicate_key"),
    (b'{"type":"order.paid","order_id":"A","x":{"y":1,"y":2}}', "duplicate_key"),
    (b'{"type":"order.paid","data":{"order_id":"A"},"data":{"order_id":"B"}}', "duplicate_key"),
    (b'{"type":"order.paid","order_id":"A","\\u006frder_id":"B"}', "duplicate_key"),
    (b'{"type":"order.paid","order_id":"A","x":' + b"[" * 20 + b"]" * 20 + b"}", "too_deep"),
    (b'{"type":"order.paid","order_id":"A","x":' + BOMB + b"]" * 60_000 + b"}", "too_deep"),
    (b'{"type":"order.paid","order_id":"A","sku":' + BOMB + b"]" * 60_000 + b"}", "too_deep"),
    (b'{"x":' * 60_000 + b"1" + b"}" * 60_000, "too_deep"),
    (b'{"type":"order.paid","order_id":"A",}', "bad_json"),
    (b'{"type":"order.paid","order_id":"A\x00"}', "bad_json"),
    (b'"order.paid"', "not_an_object"),
    (b"null", "not_an_object"),
]


@pytest.mark.parametrize(("hostile", "code"), HOSTILE)
def test_hostile_event_is_refused_beside_good_ones(hostile: bytes, code: str) -> None:
    """Alone, in an array and in lines the same code; the neighbours are taken."""
    assert refusals(send(hostile)) == [(0, code, send(hostile).rejected[0].pointer)]
    for body, kind in (
        (b"[" + GOOD + b" , " + hostile + b"," + GOOD + b"]", JSON),
        (b"\n".join((GOOD, hostile, GOOD)), LINES),
    ):
        decoded = send(body, kind)
        assert [(one.index, one.code) for one in decoded.rejected] == [(1, code)]
        assert decoded.indexes == (0, 2)
        assert decoded.rejected[0].pointer.startswith("/1")


@pytest.mark.parametrize("kind", [JSON, CLOUD, BATCH])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"[",
        BOMB,
        b'{"x":' * 60_000,
        b"[" + GOOD + b"," + GOOD,
        b"[" + GOOD + b"] trailing",
        b"[" + GOOD + b',{"type":"order.paid","order_id":"',
        GOOD[:-1],
        b"\xff\xfe[\x00]\x00",
        b"<xml/>",
        b"[" * 1_000_000,
        b'["' + b'\\"' * 500_000,
    ],
)
def test_body_that_does_not_end_is_refused_whole(body: bytes, kind: str) -> None:
    """What is cut off or no JSON at all is one rejection; a repeat of the whole body is harmless."""
    decoded = send(body, kind)
    assert [(one.index, one.pointer) for one in decoded.rejected] == [(0, "")]
    assert decoded.rejected[0].code in {"bad_json", "too_deep"}
    assert decoded.events == ()


def test_trailing_comma_loses_only_the_missing_event() -> None:
    """The events before it are complete."""
    decoded = send(b"[" + GOOD + b",]")
    assert (decoded.indexes, refusals(decoded)) == ((0,), [(1, "bad_json", "/1")])


def test_many_duplicate_keys_are_found_quickly() -> None:
    """The search for the duplicate is linear: 1 MiB of keys takes well under a second."""
    keys = ",".join(f'"k{number}":1' for number in range(80_000))
    assert refusals(send(f'{{{keys},"k79999":2}}'.encode())) == [(0, "duplicate_key", "")]


def test_thousand_unknown_types_are_suggested_within_a_budget() -> None:
    """Twenty suggestions are looked up for a request; the others are told without one."""
    body = [paid(type=f"order.payd{number}") for number in range(1_000)]
    details = [one.detail for one in send(body).rejected]
    assert sum("did you mean" in detail for detail in details) == 20
    assert len(details) == 1_000
