"""The fast listener says the same as the main address, in order, within its limits."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from monitor.api.auth import Gate
from monitor.api.edge import Edge, Limits
from monitor.api.fast import CONNECTIONS_MAX, FastListener
from monitor.api.fast_head import HEAD_BYTES_MAX
from monitor.api.fast_protocol import PIPELINE_MAX
from monitor.model.endpoints import Listen
from monitor.model.errors import CapacityError, StorageError
from tests.unit.api.samples import JSON, LINES, paid
from tests.unit.api.serving import KEYS, SHOP_TOKEN, MemoryService, ask, serving

LIMITS = Limits(body_deadline_s=0.3, idle_s=0.6, lingering_s=0.2)
VARYING = ("Date", "Connection", "Content-Length")


class Wire:
    """A client of raw bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def send(self, raw: bytes) -> None:
        self._writer.write(raw)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the next answer."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        start, *lines = head.strip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        body = await self._reader.readexactly(int(headers["Content-Length"]))
        return int(start.split()[1]), headers, body

    async def rest(self) -> bytes:
        """What comes until the other side ends."""
        return await self._reader.read()

    def close(self) -> None:
        self._writer.close()


class Fast:
    """A listener in front of a small service."""

    def __init__(self, service: MemoryService, listener: FastListener, port: int) -> None:
        self.service, self.listener, self._port = service, listener, port
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self) -> Wire:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers.append(writer)
        return Wire(reader, writer)

    async def hang_up(self) -> None:
        for writer in self._writers:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def once(self, raw: bytes) -> tuple[int, dict[str, str], dict[str, Any]]:
        wire = await self.connect()
        wire.send(raw)
        status, headers, body = await asyncio.wait_for(wire.answer(), 5)
        wire.close()
        return status, headers, json.loads(body)


@asynccontextmanager
async def fast(
    limits: Limits | None = None, gate: Gate | None = None, connections_max: int = CONNECTIONS_MAX
) -> AsyncIterator[Fast]:
    service = MemoryService()
    edge = Edge(service, service.clock, gate or Gate(Listen()), limits)
    listener = FastListener(edge, connections_max)
    quick = Fast(service, listener, await listener.start(Listen("127.0.0.1", 0)))
    try:
        yield quick
    finally:
        await quick.hang_up()
        await listener.stop()


def post(body: bytes, kind: str = JSON, *lines: str, path: str = "/v1/events") -> bytes:
    head = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Type: {kind}", *lines]
    return "\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body


def event(order_id: str = "A1", **fields: Any) -> bytes:
    return json.dumps(paid(order_id, **fields)).encode()


BODIES = [
    (event(), JSON),
    (event(channel=7), JSON),
    (event(card="secret", colour="red"), JSON),
    (b"[" + event() + b"," + event("A2") + b',{"type":"x"}]', JSON),
    (event() + b"\n" + event("A2") + b"\nnothing", LINES),
    (b"[]", JSON),
    (b"", JSON),
    (b"{", JSON),
    (b"hello", "text/plain"),
    (b"\n".join([event()] * 1_001), LINES),
]


@pytest.mark.parametrize(("body", "kind"), BODIES)
async def test_both_addresses_give_the_same_answer(body: bytes, kind: str) -> None:
    """Status, body and headers do not depend on the address an event was sent to."""
    async with fast() as quick, serving() as main:
        status, headers, said = await quick.once(post(body, kind))
        sent = {"Content-Type": kind}
        answer = await ask(main, "/v1/events", token=None, method="POST", headers=sent, raw=body)
        assert (status, said) == (answer.status, answer.body)
        theirs = dict(answer.headers)
        for name in VARYING:
            headers.pop(name, None)
            theirs.pop(name, None)
        assert headers == theirs


async def test_requests_in_a_row_are_answered_in_their_order() -> None:
    """Pipelined requests get their own answers, also when a later one is ready first."""
    async with fast() as quick:
        quick.service.is_slow = True
        wire = await quick.connect()
        wire.send(post(event("A1")) + post(b"{") + post(event("A2"), JSON, "X-Other: 1"))
        while len(quick.service.offered) < 2:
            await asyncio.sleep(0)
        first, second = quick.service.offered
        second.set_result(("duplicate",))
        first.set_result(("accepted",))
        answers = [await wire.answer() for _ in range(3)]
        assert [status for status, _, _ in answers] == [202, 400, 202]
        assert json.loads(answers[0][2])["accepted"] == 1
        assert json.loads(answers[2][2])["duplicates"] == 1


async def test_request_in_pieces_is_put_together() -> None:
    """Every byte may come alone."""
    async with fast() as quick:
        wire = await quick.connect()
        for byte in post(event("A1")) + post(event("A2")):
            wire.send(bytes([byte]))
            await asyncio.sleep(0)
        assert [(await wire.answer())[0] for _ in range(2)] == [202, 202]
        assert [one.order_id for one in quick.service.events] == ["A1", "A2"]


async def test_no_more_is_read_while_too_much_is_under_way() -> None:
    """The requests over the limit wait in the kernel, and are taken when answers have left."""
    async with fast() as quick:
        quick.service.is_slow = True
        wire = await quick.connect()
        # Each by itself: ordinary single events of one turn are offered as one.
        asked = [post(event(f"A{number}"), LINES) for number in range(PIPELINE_MAX + 40)]
        wire.send(b"".join(asked))
        while len(quick.service.offered) < PIPELINE_MAX:
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(quick.service.offered) == PIPELINE_MAX
        for _ in range(PIPELINE_MAX + 40):
            while not quick.service.offered:
                await asyncio.sleep(0)
            quick.service.answer(("accepted",))
            assert (await wire.answer())[0] == 202


def head(*lines: str) -> bytes:
    """A head as it stands, without a body."""
    return "\r\n".join(("POST /v1/events HTTP/1.1", "Host: localhost", *lines, "", "")).encode()


CHUNKED = "Transfer-Encoding: chunked"
HEADS = [
    (b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 405),
    (post(b"", path="/v1/orders"), 404),
    (head(), 411),
    (head("Content-Length: +1"), 400),
    (head("Content-Length: 1", "Content-Length: 2"), 400),
    (head("Content-Length: 3", CHUNKED) + b"0\r\n\r\n", 400),
    (head(CHUNKED) + b"0\r\n\r\n", 411),
    (head("Content-Length: 1048577"), 413),
    (head("Content-Length: 0", "Expect: 100-continue"), 417),
    (head("Content-Length: 0", "Upgrade: websocket", "Connection: upgrade"), 400),
    (head("Content-Length: 0", *(f"X-{number}: 1" for number in range(65))), 431),
    (head("Content-Length: 0", "X-Long: " + "x" * 8_200), 431),
    (b"POST /v1/events HTTP/1.1\r\nX: " + b"x" * HEAD_BYTES_MAX, 431),
    (b"POST /v1/events HTTP/1.1\nHost: localhost\nContent-Length: 0\n\n\r\n\r\n", 400),
    (b"\x16\x03\x01\x00\xa5\x01\r\n\r\n", 400),
    (post(b"").replace(b"Host: localhost", b"Host: evil.example"), 403),
    (post(b"", JSON, "Origin: http://evil.example"), 403),
    (post(b"", JSON, "Authorization: Bearer dm_nobody"), 401),
]


@pytest.mark.parametrize(("raw", "status"), HEADS)
async def test_head_that_is_not_ours_is_refused_and_ends_the_connection(
    raw: bytes, status: int
) -> None:
    """One clear refusal; nothing behind it is taken for another request."""
    async with fast(LIMITS) as quick:
        wire = await quick.connect()
        wire.send(raw + post(event()))
        found, headers, body = await wire.answer()
        assert (found, headers["Connection"]) == (status, "close")
        assert json.loads(body)["status"] == status
        assert await asyncio.wait_for(wire.rest(), 5) == b""
        assert quick.service.events == []


async def test_half_a_request_ends_at_its_deadline() -> None:
    """A slow head and a slow body get a 408; a connection that says nothing is closed."""
    async with fast(LIMITS) as quick:
        for half in (post(event())[:20], post(event())[:-5]):
            wire = await quick.connect()
            wire.send(half)
            assert (await asyncio.wait_for(wire.answer(), 5))[0] == 408
            assert await asyncio.wait_for(wire.rest(), 5) == b""
        silent = await quick.connect()
        assert await asyncio.wait_for(silent.rest(), 5) == b""


async def test_key_decides_whose_events_they_are() -> None:
    """Without a key nothing is taken; with one the source is that of the key."""
    async with fast(gate=Gate(Listen(), KEYS)) as quick:
        assert (await quick.once(post(event())))[0] == 401
        token = f"Authorization: Bearer {SHOP_TOKEN}"
        assert (await quick.once(post(event(), JSON, token)))[0] == 202
        assert [one.source for one in quick.service.events] == ["shop"]


async def test_gate_that_is_renewed_counts_for_open_connections() -> None:
    """A remembered head is no remembered permission."""
    async with fast() as quick:
        wire = await quick.connect()
        wire.send(post(event()))
        assert (await wire.answer())[0] == 202
        quick.listener.intake.edge.gate = Gate(Listen(), KEYS)
        wire.send(post(event()))
        assert (await wire.answer())[0] == 401


async def test_name_that_is_no_longer_served_is_refused_on_open_connections() -> None:
    """A remembered head is judged anew by another gate."""
    async with fast(gate=Gate(Listen(), allowed_hosts=("shop.example",))) as quick:
        wire = await quick.connect()
        request = post(event()).replace(b"Host: localhost", b"Host: shop.example")
        wire.send(request)
        assert (await wire.answer())[0] == 202
        quick.listener.intake.edge.gate = Gate(Listen())
        wire.send(request)
        assert (await wire.answer())[0] == 403


async def test_compressed_body_is_taken_and_a_bomb_is_not() -> None:
    """A gzip body counts with the size it has unpacked."""
    async with fast() as quick:
        packed = post(gzip.compress(event()), JSON, "Content-Encoding: gzip")
        assert (await quick.once(packed))[0] == 202
        bomb = post(gzip.compress(bytes(2_000_000)), JSON, "Content-Encoding: gzip")
        assert (await quick.once(bomb))[0] == 413
        assert (await quick.once(post(b"", JSON, "Content-Encoding: br")))[0] == 415


async def test_idempotency_key_gets_the_first_answer_again() -> None:
    """The same key with the same body is answered from memory, with another body refused."""
    async with fast() as quick:
        lines = (JSON, "Idempotency-Key: k1")
        first = await quick.once(post(event(), *lines))
        again = await quick.once(post(event(), *lines))
        assert first[2] == again[2]
        assert again[1]["Idempotent-Replayed"] == "true"
        assert (await quick.once(post(event("A2"), *lines)))[0] == 422
        assert (await quick.once(post(b"{", JSON, "Idempotency-Key: k2")))[0] == 400
        assert (await quick.once(post(event(), JSON, "Idempotency-Key: k2")))[0] == 202


async def test_trouble_is_told_with_the_time_to_come_back() -> None:
    """A full queue and a disk in trouble are refusals, before and after queueing."""
    async with fast() as quick:
        quick.service.trouble = CapacityError("full", retry_after_s=3)
        status, headers, _ = await quick.once(post(event()))
        assert (status, headers["Retry-After"]) == (429, "3")
        quick.service.trouble = None
        quick.service.is_slow = True
        wire = await quick.connect()
        wire.send(post(event()))
        while not quick.service.offered:
            await asyncio.sleep(0)
        quick.service.offered.pop().set_exception(StorageError("the disk is full"))
        status, headers, _ = await wire.answer()
        assert (status, headers["Retry-After"]) == (503, "5")


async def test_client_that_asks_for_the_end_gets_it_after_its_answer() -> None:
    """`Connection: close` and HTTP/1.0 end the connection, after the answer."""
    async with fast() as quick:
        for raw in (
            post(event(), JSON, "Connection: close"),
            post(event()).replace(b"HTTP/1.1", b"HTTP/1.0"),
        ):
            wire = await quick.connect()
            wire.send(raw)
            status, headers, _ = await wire.answer()
            assert (status, headers["Connection"]) == (202, "close")
            assert await asyncio.wait_for(wire.rest(), 5) == b""


async def test_stop_answers_what_is_under_way() -> None:
    """A request that waits for the disk is answered before the listener is gone."""
    async with fast() as quick:
        quick.service.is_slow = True
        wire = await quick.connect()
        wire.send(post(event()))
        while not quick.service.offered:
            await asyncio.sleep(0)
        stopping = asyncio.ensure_future(quick.listener.stop())
        await asyncio.sleep(0)
        quick.service.answer(("accepted",))
        assert (await wire.answer())[0] == 202
        wire.close()
        await asyncio.wait_for(stopping, 5)


async def test_socket_that_never_asked_gives_way_to_a_newcomer() -> None:
    """With all places taken, the oldest that sent no request goes; who has sent one stays."""
    async with fast(connections_max=3) as quick:
        client = await quick.connect()
        client.send(post(event()))
        assert (await client.answer())[0] == 202
        silent = await quick.connect()
        dribbling = await quick.connect()
        dribbling.send(b"POST /v1")
        assert (await quick.once(post(event("A2"))))[0] == 202
        assert await asyncio.wait_for(silent.rest(), 5) == b""
        client.send(post(event("A3")))
        assert (await client.answer())[0] == 202
