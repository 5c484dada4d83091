"""One event that is an address: `/e/{key}/{type-suffix}/{order}`."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from monitor.api.auth import Gate, gate_of, token_sha256
from monitor.api.by_path import type_of
from monitor.api.overload import ENTRIES_MAX
from monitor.api.quota import Quotas
from monitor.model.endpoints import Endpoints, IngestKey, Listen
from monitor.model.errors import InputError, StorageError
from monitor.model.events import EventType
from tests.unit.api.samples import RECEIVED_MS
from tests.unit.api.serving import KEYS, SHOP_TOKEN, Answered, Server, ask, serving

ONE = {"accepted": 1, "duplicates": 0, "rejected": [], "warnings": []}
SAME = ONE | {"accepted": 0, "duplicates": 1}
FAILED = "failed was read as order.failed, which is final; send delivery.failed for an attempt that failed"
OTHER_TOKEN = "dm_other"


@pytest.fixture
async def open_door() -> AsyncIterator[Server]:
    """A service on loopback without keys."""
    async with serving() as server:
        yield server


@pytest.fixture
async def keyed() -> AsyncIterator[Server]:
    """A service whose two sources have keys; the first may send by GET."""
    async with serving() as server:
        keys = (*KEYS, IngestKey("other", token_sha256(OTHER_TOKEN)))
        server.edge.gate = Gate(Listen(), keys, get_sources=("shop",))
        yield server


async def tell(server: Server, path: str, method: str = "POST", **options: Any) -> Answered:
    """One request without a token in its headers."""
    return await ask(server, path, method=method, token=None, **options)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("created", "order.created"),
        ("paid", "order.paid"),
        ("callback", "payment.callback"),
        ("accepted", "order.accepted"),
        ("reserved", "stock.reserved"),
        ("attempted", "delivery.attempted"),
        ("delivered", "delivery.delivered"),
        ("verified", "delivery.verified"),
        ("failed", "order.failed"),
        ("cancelled", "order.cancelled"),
        ("refunded", "order.refunded"),
        ("expired", "order.expired"),
        ("heartbeat", "source.heartbeat"),
        ("delivery.failed", "delivery.failed"),
    ],
)
def test_last_word_of_a_type_means_the_type(word: str, kind: str) -> None:
    """Every type has a word, and the two that share one are told apart by the whole name."""
    assert type_of(word) == kind


@pytest.mark.parametrize("kind", list(EventType))
def test_whole_name_means_itself(kind: EventType) -> None:
    """The dotted form is taken for every type."""
    assert type_of(kind.value) == kind.value


@pytest.mark.parametrize("word", ["", "order", "PAID", "paid.order", "delivery.paid", "paid%20"])
def test_unknown_word_is_refused_with_the_list(word: str) -> None:
    """Whoever mistypes reads what there is."""
    with pytest.raises(InputError) as refused:
        type_of(word)
    assert refused.value.code == "unknown_type"
    assert "paid, created, or a whole name such as delivery.failed" in refused.value.hint


async def test_event_is_taken_as_a_posted_one_is(open_door: Server) -> None:
    """The answer is that of ingest, the fact that of the same flat event."""
    query = "channel=auto&sku=s&amount_minor=990&currency=CNY&quantity=2&promise_s=60.5&provider=p"
    answer = await tell(open_door, f"/e/-/paid/A1?{query}")
    assert (answer.status, answer.body) == (202, ONE)
    event = open_door.service.events[0]
    assert (event.type, event.order_id, event.source) == ("order.paid", "A1", "default")
    assert (event.time_ms, event.is_inferred) == (RECEIVED_MS, True)
    assert (event.channel, event.sku, event.provider) == ("auto", "s", "p")
    assert (event.amount_minor, event.currency, event.quantity) == (990, "CNY", 2)
    assert event.promise_ms == 60_500


async def test_request_sent_again_is_a_duplicate(open_door: Server) -> None:
    """A line of curl with --retry must not deliver twice; an attempt may be made twice."""
    for expected in (ONE, SAME):
        assert (await tell(open_door, "/e/-/delivered/A1")).body == expected
    for _ in range(2):
        open_door.service.wait(1)
        assert (await tell(open_door, "/e/-/attempted/A1")).body == ONE
    for number in (1, 2):  # who has ids of their own tells them
        assert (await tell(open_door, f"/e/-/delivered/A1?id=d{number}")).body == ONE
    assert len(open_door.service.events) == 5


@pytest.mark.parametrize("order_id", ["订单 7/甲", "A+1 &?=%", "{A}", "ÄÖ😀", "../A"])
async def test_order_id_is_what_was_encoded(open_door: Server, order_id: str) -> None:
    """An id may hold whatever an address has to encode."""
    answer = await tell(open_door, f"/e/-/paid/{quote(order_id, safe='')}")
    assert answer.body == ONE
    assert open_door.service.events[0].order_id == order_id


@pytest.mark.parametrize(
    ("path", "code", "pointer"),
    [
        ("paid/A1?amount_minor=9.90", "bad_field", "/amount_minor"),
        ("paid/A1?amount_minor=99999999999999999999", "bad_field", "/amount_minor"),
        ("paid/A1?promise_s=inf", "bad_field", "/promise_s"),
        ("paid/A1?customer_tier=gold", "bad_field", "/customer_tier"),
        ("paid/A1?time=yesterday", "bad_time", "/time"),
        ("paid/%20", "missing_order_id", "/order_id"),
        ("paid/A%00", "bad_characters", "/order_id"),
        ("paid/" + "A" * 129, "bad_field", "/order_id"),
        ("paid/%B6%A9", "bad_characters", None),
        ("paid/A1?sku=%B6%A9", "bad_query", None),
        ("paid/A1?" + "a&" * 101, "bad_query", None),
        ("paid/A1?sku=1&sku=2", "duplicate_key", None),
        ("pay/A1", "unknown_type", None),
    ],
)
async def test_what_cannot_be_read_is_named(
    open_door: Server, path: str, code: str, pointer: str | None
) -> None:
    """A mistake is a 400 that leads to it, and nothing is taken."""
    answer = await tell(open_door, f"/e/-/{path}")
    assert (answer.status, answer.body["code"]) == (400, code)
    pointers = [one["pointer"] for one in answer.body.get("errors", [])]
    assert pointers == ([] if pointer is None else [pointer])
    assert open_door.service.events == []


async def test_what_is_left_out_is_said(open_door: Server) -> None:
    """A body, names of the path, unknown and secret ones, and which `failed` was meant."""
    path = "/e/-/failed/A1?order_id=A2&colour=red&card=SECRET-KEY"
    answer = await tell(open_door, path, raw=b'{"card":"SECRET-KEY"}')
    assert answer.body["accepted"] == 1
    assert answer.body["warnings"] == [
        "the body was left out; send fields in the query, or events to /v1/events",
        FAILED,
        "fields that look like card secrets were dropped: card",
        "unknown fields were left out: query order_id, colour",
    ]
    assert open_door.service.events[0].order_id == "A1"


async def test_key_in_the_address_is_the_key_of_a_header(keyed: Server) -> None:
    """It speaks for its source alone; without it, or with one that nobody has, nothing is taken."""
    assert (await tell(keyed, f"/e/{SHOP_TOKEN}/paid/A1")).body == ONE
    assert keyed.service.events[0].source == "shop"
    for key in ("-", "dm_nobody", SHOP_TOKEN + "x", "%2D%2D"):
        assert (await tell(keyed, f"/e/{key}/paid/A2")).status == 401
    foreign = await tell(keyed, f"/e/{OTHER_TOKEN}/paid/A2?source=shop")
    assert (foreign.status, foreign.body["code"]) == (400, "wrong_source")
    assert len(keyed.service.events) == 1


async def test_key_of_another_scope_may_not(keyed: Server) -> None:
    """A key that only reads sends no events."""
    keyed.edge.gate = Gate(Listen(), (IngestKey("shop", token_sha256("dm_r"), ("read",)),))
    assert (await tell(keyed, "/e/dm_r/paid/A1")).status == 403


async def test_get_is_for_sources_that_allow_it(keyed: Server) -> None:
    """What fetches addresses sends events only where the owner said so; HEAD never does."""
    for method, key, status in (
        ("GET", SHOP_TOKEN, 202),
        ("GET", OTHER_TOKEN, 405),
        ("HEAD", SHOP_TOKEN, 405),
        ("PUT", SHOP_TOKEN, 405),
        ("GET", "dm_nobody", 401),
    ):
        async with asyncio.timeout(10):
            raw = await keyed.raw(
                f"{method} /e/{key}/paid/A-{method} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                "Connection: close\r\n\r\n".encode()
            )
        assert raw.startswith(f"HTTP/1.1 {status} ".encode()), (method, key, raw)
        if status == 405 and method == "GET":
            assert b"\r\nAllow: POST\r\n" in raw
    assert [event.order_id for event in keyed.service.events] == ["A-GET"]


async def test_page_of_another_site_cannot_get(keyed: Server) -> None:
    """A browser says where a request comes from; an image elsewhere sends no event."""
    path = f"/e/{SHOP_TOKEN}/paid/A1"
    answer = await tell(keyed, path, "GET", headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status, answer.body["code"]) == (403, "bad_origin")
    assert (await tell(keyed, path, "GET", headers={"Sec-Fetch-Site": "none"})).status == 202


async def test_source_that_allows_get_is_read_from_the_configuration(tmp_path: Path) -> None:
    """The gate of a configuration knows the sources that allow it."""
    (tmp_path / "token").write_text("dm_admin\n", encoding="ascii")
    gate = gate_of(Endpoints(get_sources=("shop",)), tmp_path / "token", (), {})
    assert gate.may_get("shop")
    assert not gate.may_get("other")


async def test_way_that_is_full_refuses_before_anything_else(keyed: Server) -> None:
    """The same overload as for events: 503 with Retry-After, also for a wrong key."""
    keyed.edge.flow.entries = 10**6
    for key in (SHOP_TOKEN, "dm_nobody"):
        answer = await tell(keyed, f"/e/{key}/paid/A1")
        assert (answer.status, "Retry-After" in answer.headers) == (503, True)
    assert keyed.service.events == []


async def test_outcome_finds_room_where_others_do_not(keyed: Server) -> None:
    """The last third of the way is for events that end somebody's wait."""
    keyed.edge.flow.entries = ENTRIES_MAX * 8 // 10
    assert (await tell(keyed, f"/e/{SHOP_TOKEN}/paid/A1")).status == 503
    assert (await tell(keyed, f"/e/{SHOP_TOKEN}/delivered/A1")).status == 202


async def test_quota_of_the_source_counts(keyed: Server) -> None:
    """A source that sent too much waits, whichever way it sends."""
    keyed.edge.quotas = Quotas({"shop": 1})
    answers = [await tell(keyed, f"/e/{SHOP_TOKEN}/paid/A{number}") for number in range(12)]
    assert [answer.status for answer in answers] == [202] * 11 + [429]
    assert (await tell(keyed, f"/e/{OTHER_TOKEN}/paid/B1")).status == 202


async def test_nothing_is_said_to_be_taken_that_is_not_on_the_disk(open_door: Server) -> None:
    """While the store refuses the answer is 503, and the order is not known."""
    open_door.service.trouble = StorageError("the disk is full")
    answer = await tell(open_door, "/e/-/paid/A1")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")


async def test_idempotency_key_gets_the_first_answer(keyed: Server) -> None:
    """As for events: one key, one write."""
    headers = {"Idempotency-Key": "k1"}
    for _ in range(2):
        answer = await tell(keyed, f"/e/{SHOP_TOKEN}/attempted/A1", headers=headers)
        assert answer.body == ONE
    assert len(keyed.service.events) == 1


async def test_key_is_in_no_answer_and_no_log(
    keyed: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """The address of a request is never repeated, however the request ends."""
    caplog.set_level(logging.DEBUG)
    said = []
    for path in ("paid/A1", "pay/A1", "paid/A1/more", "paid/A1?time=x", ""):
        for method in ("POST", "GET", "DELETE"):
            raw = await keyed.raw(
                f"{method} /e/{SHOP_TOKEN}/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                "Connection: close\r\n\r\n".encode()
            )
            said.append(raw.decode())
    keyed.service.trouble = RuntimeError("a bug")  # type: ignore[assignment]  # nobody expects it
    answer = await tell(keyed, f"/e/{SHOP_TOKEN}/paid/A9")
    assert answer.status == 500
    assert any("http_request_failed" in record.message for record in caplog.records)
    for text in (*said, str(answer), *(str(vars(record)) for record in caplog.records)):
        assert SHOP_TOKEN not in text
    assert "no-referrer" in said[0]
    assert "no-store" in said[0]
