"""When too much comes in: what is given up first, what is kept to the last, and who is told what."""

import asyncio
import gzip
import json
from typing import Any

import pytest

from monitor.api.door import Sparing
from monitor.api.left_out import LeftOut
from monitor.api.overload import (
    BYTES_MAX,
    ENTRIES_MAX,
    EVENTS_FILL,
    LARGE_BYTES,
    PAGES_FILL,
    READING_BYTES_MAX,
    ROOM_MIN,
    TICK_BYTES,
    TRACES_FILL,
    WAIT_MAX_S,
    WIDER,
    Flow,
    has_outcome,
)
from monitor.api.quota import BURST_S, Quotas
from monitor.api.shed import EVENTS, PAGES, QUOTA, SHED, SIGNALS, TRACES, UNREAD
from monitor.model.errors import OverloadError, QuotaError
from monitor.ports import OrderRow
from tests.unit.api.samples import paid
from tests.unit.api.serving import KEYS, SHOP_TOKEN, Server, ask, client, serving

HEAD = b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
DELIVERED = paid(type="delivery.delivered", id="d1")


def filled(server: Server, share: float) -> None:
    """Fill the way of events with requests that nobody sent."""
    server.edge.flow.entries = round(share * ENTRIES_MAX)


async def status_of(server: Server, path: str, body: object = None, **more: Any) -> int:
    return (await ask(server, path, body, **more)).status


@pytest.mark.parametrize(
    ("share", "low", "outcome", "page"),
    [
        (0.0, 202, 202, 200),
        (PAGES_FILL, 202, 202, 503),
        (EVENTS_FILL, 503, 202, 503),
        (0.99, 503, 202, 503),
        (1.0, 503, 503, 503),
    ],
)
async def test_pages_go_first_then_low_events_then_outcomes(
    share: float, low: int, outcome: int, page: int
) -> None:
    """The fuller the way, the less is let in; an outcome is let in to the last."""
    async with serving() as server:
        filled(server, share)
        assert await status_of(server, "/v1/orders") == page
        assert await status_of(server, "/v1/events", paid()) == low
        assert await status_of(server, "/v1/events", DELIVERED) == outcome


async def test_probes_steering_and_what_shops_ask_are_never_given_up() -> None:
    """The full way of events blocks none but events, pages and lists."""
    async with serving() as server:
        filled(server, 1.0)
        for path in ("/livez", "/readyz", "/metrics", "/v1/route", "/v1/quote"):
            assert await status_of(server, path) == 200
        body = {"weights": {"auto": 100}, "reason": "test"}
        assert await status_of(server, "/v1/switches", body) == 200


async def test_full_way_answers_before_the_body_is_sent() -> None:
    """The refusal names when to come again; what was announced needs not be sent for it."""
    async with serving() as server:
        filled(server, 1.0)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(HEAD + b"Content-Length: 1000000\r\n\r\n")
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 1" in head
        writer.close()
        assert server.service.left_out.shed[UNREAD] == 1


async def test_refused_with_the_whole_body_keeps_its_connection() -> None:
    """A sender that comes again need not connect again."""
    async with serving() as server, client(server) as session:
        filled(server, 1.0)
        async with session.post("/v1/events", json=paid()) as answer:
            assert answer.status == 503
            assert answer.connection is not None or answer.headers.get("Connection") != "close"
        filled(server, 0.0)
        async with session.post("/v1/events", json=paid()) as answer:
            assert answer.status == 202


@pytest.mark.parametrize(
    ("body", "headers", "is_outcome"),
    [
        (b'{"type":"delivery.delivered"}', {}, True),
        (b'{"type":"order.failed"}', {}, True),
        (b'{"type":"order.refunded"}', {}, True),
        (b'{"type":"order.cancelled"}', {}, True),
        (b'{"type":"order.expired"}', {}, True),
        (b'{"type":"order.paid"}\n{"type":"delivery.verified"}', {}, True),
        (b"{}", {"ce-type": "delivery.delivered"}, True),
        (b'{"type":"order.paid"}', {}, False),
        (b'{"type":"delivery.attempted"}', {}, False),
        (b'{"type":"source.heartbeat"}', {"ce-type": "order.created"}, False),
        (b"\xff\xfe", {"ce-type": "\udcff"}, False),
    ],
)
def test_outcomes_are_seen_in_the_raw_body(
    body: bytes, headers: dict[str, str], is_outcome: bool
) -> None:
    """Whatever ends an order counts, in every format; what only begins one does not."""
    assert has_outcome(body, headers) == is_outcome


@pytest.mark.parametrize(
    "word", ["delivered", "failed", "refunded", "cancelled", "expired", "verified"]
)
@pytest.mark.parametrize("place", [0, 1, 77, 4_999])
def test_outcome_anywhere_in_a_large_body_is_seen(word: str, place: int) -> None:
    """At its beginning, its end, and in between; other words with the same end are none."""
    filling = b'{"type":"delivery.attempted"}\n{"type":"order.created"} hundred tired filled '
    body = (filling * (2 * LARGE_BYTES // len(filling)))[:5_000]
    assert not has_outcome(body, {})
    assert has_outcome(body[:place] + word.encode() + body[place:], {})


async def test_compressed_outcome_is_seen_too() -> None:
    """It is looked for in what was inflated."""
    async with serving() as server:
        filled(server, EVENTS_FILL)
        raw = gzip.compress(json.dumps(DELIVERED).encode())
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        assert (
            await ask(server, "/v1/events", raw=raw, method="POST", headers=headers)
        ).status == 202


async def test_way_is_empty_again_whatever_became_of_the_request() -> None:
    """Taken, refused, not readable, refused by the store: nothing stays behind."""
    async with serving() as server:
        await status_of(server, "/v1/events", paid())
        await status_of(server, "/v1/events", {"type": "nothing"})
        await ask(server, "/v1/events", raw=b"{", method="POST")
        server.service.trouble = OverloadError("full")
        assert await status_of(server, "/v1/events", paid("A2")) == 503
        flow = server.edge.flow
        assert (flow.entries, flow.bytes, flow.reading_bytes, flow.fill) == (0, 0, 0, 0.0)


async def test_slow_bodies_together_hold_a_bounded_number_of_bytes() -> None:
    """Bytes of bodies that are not whole are counted, and given back when the sender leaves."""
    async with serving() as server:
        flow = server.edge.flow
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(HEAD + b"Content-Length: 1000\r\n\r\n" + b"x" * 400)
        async with asyncio.timeout(10):
            while flow.reading_bytes != 400:
                await asyncio.sleep(0.001)
        flow.reading_bytes += READING_BYTES_MAX - 400
        writer.write(b"x" * 400)
        async with asyncio.timeout(10):
            assert (await reader.readline()).startswith(b"HTTP/1.1 503 ")
            while flow.reading_bytes != READING_BYTES_MAX - 400:
                await asyncio.sleep(0.001)
        writer.close()


async def test_bytes_fill_the_way_too() -> None:
    """Few large events take as much room as many small ones."""
    flow = Flow(LeftOut())
    place = flow.enter(b"x" * BYTES_MAX, {})
    with pytest.raises(OverloadError):
        flow.enter(b"delivered", {})
    flow.leave(place)
    assert flow.fill == 0.0


async def test_slow_machine_makes_the_way_narrower_and_a_quick_one_wider() -> None:
    """What took twice as long as it may halves the room; quick requests win it back, step by step."""
    flow = Flow(LeftOut())

    def passed(took_s: float) -> float:
        place = flow.enter(b"x", {})
        place.entered_s -= took_s
        flow._judged_s -= WAIT_MAX_S  # it is time to judge again
        flow.leave(place)
        return flow.room

    assert passed(2 * WAIT_MAX_S) == pytest.approx(0.5, rel=0.01)
    flow.entries = round(0.5 * ENTRIES_MAX)
    assert flow.fill == pytest.approx(1.0, rel=0.01)
    flow.entries = 0
    assert passed(0.75 * WAIT_MAX_S) == pytest.approx(0.5, rel=0.01)  # as it should be
    assert passed(0.0) == pytest.approx(0.5 * WIDER, rel=0.01)
    assert passed(1_000.0) == ROOM_MIN
    for _ in range(20):
        passed(0.0)
    assert flow.room == 1.0


async def test_no_turn_of_the_event_loop_decodes_more_than_its_share() -> None:
    """Bodies that come at once are decoded one after the other, and what else is due gets between."""
    flow, done, between = Flow(LeftOut()), [], []
    size = TICK_BYTES // 2

    async def decode(number: int) -> None:
        await flow.turn(size)
        done.append(number)

    tasks = [asyncio.create_task(decode(number)) for number in range(10)]
    while len(done) < 10:
        before = len(done)
        await asyncio.sleep(0)
        between.append(len(done) - before)
    assert max(between) == 2
    assert done == list(range(10))
    await asyncio.gather(*tasks)


async def test_body_larger_than_a_turn_gets_one_of_its_own() -> None:
    """A large batch is not kept out for ever, and small ones behind it keep their place."""
    flow, done = Flow(LeftOut()), []

    async def decode(size: int) -> None:
        await flow.turn(size)
        done.append(size)

    sizes = [10, TICK_BYTES * 10, 20, TICK_BYTES * 10, 30]
    async with asyncio.timeout(10):
        await asyncio.gather(*(decode(size) for size in sizes))
    assert done == sizes


async def test_who_leaves_before_its_turn_holds_nobody_up() -> None:
    """A cancelled request is passed over."""
    flow = Flow(LeftOut())
    await flow.turn(TICK_BYTES)
    gone = asyncio.create_task(flow.turn(1))
    next_one = asyncio.create_task(flow.turn(2))
    await asyncio.sleep(0)
    gone.cancel()
    async with asyncio.timeout(10):
        await next_one


class Kept:
    """Remembers what was offered."""

    def __init__(self) -> None:
        self.rows: list[OrderRow] = []

    def offer(self, order_row: OrderRow) -> None:
        self.rows.append(order_row)


def test_traces_are_the_first_to_go() -> None:
    """Below the first mark every order is traced, from there on none; what is lost is counted."""
    flow, kept = Flow(LeftOut()), Kept()
    traces, row = Sparing(kept, flow), OrderRow("A1", 1, b"")
    traces.offer(row)
    flow.entries = round(TRACES_FILL * ENTRIES_MAX)
    traces.offer(row)
    assert (len(kept.rows), flow.left_out.shed[TRACES]) == (1, 1)


async def test_readers_of_a_stream_hear_of_decisions_but_not_of_numbers() -> None:
    """To compute the health of the shop for a page can wait."""
    async with serving() as server, client(server) as session, session.get("/v1/stream"):
        assert server.service.wants_signals()
        filled(server, PAGES_FILL)
        assert not server.service.wants_signals()
        assert server.service.left_out.shed[SIGNALS] == 1


def test_source_may_send_its_rate_and_a_burst() -> None:
    """Ten seconds' worth at once, then as fast as the bucket fills; another source is not touched."""
    quotas = Quotas({"shop": 10})
    for _ in range(BURST_S):
        quotas.check("shop", 0)
        quotas.spend("shop", 10, 0)
    quotas.check("shop", 0)
    quotas.spend("shop", 25, 0)  # into debt, however many there are
    with pytest.raises(QuotaError) as refused:
        quotas.check("shop", 0)
    assert refused.value.retry_after_s == 3  # 25 of 10 a second
    with pytest.raises(QuotaError):
        quotas.check("shop", 2_499)
    quotas.check("shop", 2_500)
    quotas.check("other", 0)
    quotas.check(None, 0)


def test_clock_that_jumps_neither_empties_nor_overfills_a_bucket() -> None:
    """A day back fills nothing, a day forward no more than a burst."""
    quotas = Quotas({"shop": 1})
    day_ms = 86_400_000
    quotas.spend("shop", 11, day_ms)
    with pytest.raises(QuotaError):
        quotas.check("shop", 0)
    quotas.spend("shop", BURST_S + 1, 2 * day_ms)
    with pytest.raises(QuotaError):
        quotas.check("shop", 2 * day_ms)


async def test_source_over_its_quota_is_refused_before_its_body_is_read() -> None:
    """429 with the time to come again, for this source only."""
    async with serving(keys=KEYS) as server:
        server.edge.quotas.per_s = {"shop": 1}
        many = [paid(f"A{number}") for number in range(20)]
        assert await status_of(server, "/v1/events", many, token=SHOP_TOKEN) == 202
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        token = f"Authorization: Bearer {SHOP_TOKEN}\r\n".encode()
        writer.write(HEAD + token + b"Content-Length: 1000000\r\n\r\n")
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 429 ")
        assert b"Retry-After: 10\r\n" in head
        writer.close()
        assert server.service.left_out.shed[QUOTA] == 1
        assert await status_of(server, "/v1/events", paid("B1")) == 202  # the operator's token


def test_every_kind_is_counted_from_the_start() -> None:
    """A series that appears later hides its first increase."""
    assert dict(LeftOut().shed) == dict.fromkeys(SHED, 0)
    assert {EVENTS, PAGES, QUOTA, SIGNALS, TRACES, UNREAD} < set(SHED)
