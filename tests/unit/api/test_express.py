"""The short way on the main address: the same answers, order, deadlines and end as the long one."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from monitor.api.auth import Gate
from monitor.api.edge import Limits
from monitor.api.roles import of_listen
from monitor.api.routes import ROUTES
from monitor.model.endpoints import Listen
from monitor.model.errors import OverloadError, StorageError
from tests.unit.api.samples import JSON
from tests.unit.api.serving import KEYS, SHOP_TOKEN, Server, serving
from tests.unit.api.test_fast import BODIES, VARYING, Wire, event, post

ALIVE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
KEY = f"Authorization: Bearer {SHOP_TOKEN}"
HEADS = [
    post(event(), JSON),
    post(event(), JSON, KEY),
    post(event(), JSON, "Authorization: Bearer dm_nobody"),
    post(event(), JSON, "Origin: http://evil.example"),
    post(event()).replace(b"Host: localhost", b"Host: evil.example"),
    post(event(), JSON, "Idempotency-Key: k1"),
    post(event(), JSON, "Content-Encoding: br"),
    post(event(), JSON, "ce-id: 1", "ce-type: order.paid"),
    post(event(), JSON, "Connection: close"),
    post(event()).replace(b"HTTP/1.1", b"HTTP/1.0"),
    post(event(), path="/v1/events?source=shop"),
]


@asynccontextmanager
async def connected(server: Server) -> AsyncIterator[Wire]:
    """A connection that aiohttp waits on already."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    wire = Wire(reader, writer)
    wire.send(ALIVE)
    assert (await wire.answer())[0] == 200
    try:
        yield wire
    finally:
        wire.close()


async def say(server: Server, *pieces: bytes) -> tuple[int, dict[str, str], bytes]:
    """The answer to a request that comes in pieces."""
    async with connected(server) as wire:
        for piece in pieces:
            wire.send(piece)
            await asyncio.sleep(0.02)
        status, headers, body = await asyncio.wait_for(wire.answer(), 5)
        return status, {k: v for k, v in headers.items() if k not in VARYING}, body


@pytest.mark.parametrize("raw", [*(post(body, kind) for body, kind in BODIES[:-1]), *HEADS])
async def test_request_in_one_piece_and_in_two_gets_the_same_answer(raw: bytes) -> None:
    """Only what comes in one piece may go the short way."""
    keys = KEYS if KEY.encode() in raw or b"dm_nobody" in raw else ()
    async with serving(keys=keys) as short, serving(keys=keys) as long:
        assert await say(short, raw) == await say(long, raw[:40], raw[40:])
        assert short.service.events == long.service.events


async def test_events_of_one_turn_are_offered_as_one_and_answered_apart() -> None:
    """Each connection hears of its own event; an odd one among them is judged alone."""
    async with serving() as server:
        server.service.is_slow = True
        wires = [connected(server) for _ in range(4)]
        async with wires[0] as first, wires[1] as second, wires[2] as odd, wires[3] as other:
            first.send(post(event("A1")))
            second.send(post(event("A2")))
            odd.send(post(event("A3", colour="red")))
            other.send(post(b'{"type":'))
            assert (await other.answer())[0] == 400
            asked = 3
            while asked:
                await asyncio.sleep(0)
                for reply in server.service.offered:
                    size = len(getattr(reply, "events", (None,)))
                    reply.set_result(("duplicate",) * size)
                    asked -= size
                server.service.offered.clear()
            for wire in (first, second, odd):
                status, _, body = await wire.answer()
                assert (status, json.loads(body)["duplicates"]) == (202, 1)
        assert server.edge.flow.entries == server.edge.flow.bytes == 0


async def test_whatever_comes_behind_an_event_waits_for_its_answer() -> None:
    """Answers leave in the order of requests, whoever reads them."""
    async with serving() as server:
        server.service.is_slow = True
        async with connected(server) as wire:
            wire.send(post(event("A1")))
            while not server.service.offered:
                await asyncio.sleep(0)
            for piece in (ALIVE[:10], ALIVE[10:], ALIVE):
                wire.send(piece)
                await asyncio.sleep(0.01)
            server.service.answer(("accepted",))
            assert [(await wire.answer())[0] for _ in range(3)] == [202, 200, 200]


async def test_stop_answers_what_is_under_way() -> None:
    """Nobody is hung up on whose event is on its way to the disk."""
    async with serving() as server:
        server.service.is_slow = True
        async with connected(server) as wire:
            wire.send(post(event()))
            while not server.service.offered:
                await asyncio.sleep(0)
            stopping = asyncio.ensure_future(server.stop())
            await asyncio.sleep(0.05)
            server.service.answer(("accepted",))
            assert (await wire.answer())[0] == 202
            await asyncio.wait_for(stopping, 5)


async def test_deadlines_are_those_of_every_other_request() -> None:
    """Idle for too long ends; a dribbled head is a 408; waiting for the disk is not idleness."""
    limits = Limits(header_deadline_s=0.4, idle_s=0.8, lingering_s=0.1)
    async with serving(limits=limits) as server, connected(server) as idle:
        server.service.is_slow = True
        idle.send(post(event()))
        await asyncio.sleep(1.2)
        server.service.answer(("accepted",))
        assert (await idle.answer())[0] == 202
        assert await asyncio.wait_for(idle.rest(), 5) == b""
        server.service.is_slow = False
        async with connected(server) as slow:
            slow.send(post(event("A2")))
            assert (await slow.answer())[0] == 202
            slow.send(post(event("A3"))[:20])
            assert (await asyncio.wait_for(slow.answer(), 5))[0] == 408


async def test_key_that_was_revoked_opens_nothing_on_open_connections() -> None:
    """A remembered head is no remembered permission."""
    async with serving(keys=KEYS) as server, connected(server) as wire:
        wire.send(post(event(), JSON, KEY))
        assert (await wire.answer())[0] == 202
        server.edge.gate = Gate(Listen(), KEYS[:0], "0" * 64)
        wire.send(post(event(), JSON, KEY))
        assert (await wire.answer())[0] == 401


async def test_address_that_takes_no_events_takes_none_the_short_way() -> None:
    """Where events have an address of their own, this one does not know the path."""
    routes = of_listen(ROUTES, has_ingest=True, has_metrics=False)
    async with serving(routes=routes) as server:
        assert (await say(server, post(event())))[0] == 404


async def test_trouble_is_told_to_everybody_who_waits() -> None:
    """A queue that is full, a disk that fails, and too much on the way."""
    async with serving() as server, connected(server) as one, connected(server) as two:
        server.service.trouble = OverloadError("full")
        for wire in (one, two):
            wire.send(post(event()))
        assert [(await wire.answer())[0] for wire in (one, two)] == [503, 503]
        server.service.trouble, server.service.is_slow = None, True
        for wire in (one, two):
            wire.send(post(event()))
        while not server.service.offered:
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        for reply in server.service.offered:
            reply.set_exception(StorageError("the disk is full"))
        assert [(await wire.answer())[0] for wire in (one, two)] == [503, 503]
        assert server.edge.flow.entries == server.edge.flow.bytes == 0


async def test_client_that_left_before_its_answer_is_no_trouble() -> None:
    """Its event is taken; others are served."""
    async with serving() as server:
        server.service.is_slow = True
        async with connected(server) as wire:
            wire.send(post(event()))
            while not server.service.offered:
                await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        server.service.answer(("accepted",))
        server.service.is_slow = False
        assert (await say(server, post(event("A2"))))[0] == 202


async def test_first_request_of_a_connection_settles_what_it_owed() -> None:
    """A newcomer owes a head until it has sent a request, whoever takes that."""
    limits = Limits(header_deadline_s=0.3)
    async with serving(limits=limits) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        wire = Wire(reader, writer)
        await asyncio.sleep(0.05)  # aiohttp waits on it
        for order_id in ("A1", "A2"):
            wire.send(post(event(order_id)))
            assert (await asyncio.wait_for(wire.answer(), 5))[0] == 202
            await asyncio.sleep(0.6)
        wire.close()
