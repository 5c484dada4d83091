"""Server-sent events: every reader gets every event, slow ones are let go, shutdown is at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiohttp import ClientResponse, ClientSession

from monitor.api import stream
from monitor.api.service import StreamEvent
from tests.unit.api.serving import Server, client, serving

EVENT = StreamEvent("alert", b'{"rule":"DeliveryStalled"}')


@asynccontextmanager
async def streaming(session: ClientSession, count: int = 1) -> AsyncIterator[list[ClientResponse]]:
    """Open streams and wait for their first bytes, so that they are registered."""
    async with AsyncExitStack() as stack:
        answers = [await stack.enter_async_context(session.get("/v1/stream")) for _ in range(count)]
        for answer in answers:
            assert answer.status == 200
            assert await answer.content.readuntil(b"\n\n") == b":\n\n"
        yield answers


def publish(server: Server, event: StreamEvent) -> None:
    """Say an event the way the runtime does."""
    for listener in server.service.listeners:
        listener(event)


async def test_every_reader_gets_every_event() -> None:
    """Name and JSON in one frame, for everybody who listens."""
    async with serving() as server, client(server) as session, streaming(session, 3) as answers:
        assert answers[0].content_type == "text/event-stream"
        publish(server, EVENT)
        for answer in answers:
            frame = await answer.content.readuntil(b"\n\n")
            assert frame == b'event: alert\ndata: {"rule":"DeliveryStalled"}\n\n'


async def test_signals_are_wanted_only_while_somebody_reads() -> None:
    """Without a reader nobody computes the health of the shop every second."""
    async with serving() as server, client(server) as session:
        assert not server.service.wants_signals()
        async with streaming(session):
            assert server.service.wants_signals()


async def test_shutdown_with_open_streams_takes_less_than_a_second() -> None:
    """Fifty readers see a clean end at once; nobody listens afterwards."""
    loop = asyncio.get_running_loop()
    async with serving() as server, client(server) as session, streaming(session, 50) as answers:
        before = loop.time()
        await server.stop()
        assert loop.time() - before < 1.0
        for answer in answers:
            assert await answer.content.read() == b""
        assert (server.edge.streams.readers, server.service.listeners) == (0, [])


async def test_shutdown_does_not_wait_for_a_reader_that_takes_no_bytes() -> None:
    """A reader whose connection is full is cut off."""
    loop = asyncio.get_running_loop()
    async with serving() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        writer.write(b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b":\n\n")
        for _ in range(100):
            publish(server, StreamEvent("signal", b"x" * 500_000))
        (stuck,) = server.edge.streams._readers
        async with asyncio.timeout(10):
            while not stuck.is_writing:
                await asyncio.sleep(0)
        before = loop.time()
        await server.stop()
        assert loop.time() - before < 1.0
        writer.close()


async def test_reader_that_falls_behind_is_let_go() -> None:
    """One slow reader neither grows memory nor holds the others up."""
    async with serving() as server, client(server) as session, streaming(session) as (answer,):
        for _ in range(stream.BACKLOG_MAX + 1):
            publish(server, EVENT)
        assert (server.edge.streams.readers, server.edge.streams.dropped) == (0, 1)
        assert (await answer.content.read()).count(b"event: alert") == stream.BACKLOG_MAX


async def test_reader_that_leaves_is_forgotten() -> None:
    """A closed tab frees its place with the next event or sign of life."""
    async with serving() as server, client(server) as session, streaming(session) as (answer,):
        answer.close()
        async with asyncio.timeout(10):
            while server.edge.streams.readers:
                publish(server, EVENT)
                await asyncio.sleep(0)


async def test_more_readers_than_places_are_told_to_come_back() -> None:
    """The number of streams has a limit, and says when to retry."""
    async with serving() as server, client(server) as session:
        server.edge.streams._readers.extend([stream._Reader(None)] * stream.READERS_MAX)
        async with session.get("/v1/stream") as answer:
            assert answer.status == 429
            assert answer.headers["Retry-After"] == "5"


async def test_quiet_stream_shows_signs_of_life() -> None:
    """Proxies close what is silent; a comment keeps it open."""
    hub = stream.StreamHub(keep_alive_s=0.01)
    async with serving() as server, client(server) as session:
        server.edge.streams = hub
        async with streaming(session) as (answer,):
            assert await answer.content.readuntil(b"\n\n") == b":\n\n"
        hub.close()


@pytest.mark.parametrize("body", [b'{"a":\n1}'])
async def test_line_break_inside_an_event_does_not_end_it(body: bytes) -> None:
    """A frame is one line of data whatever the JSON looks like."""
    assert stream._frame(StreamEvent("alert", body)) == b'event: alert\ndata: {"a": 1}\n\n'


async def test_streams_end_when_the_keys_change_and_open_again_for_who_may() -> None:
    """A key that was revoked must not go on reading for as long as its connection lives."""
    async with serving() as server, client(server) as session:
        async with streaming(session, 2) as answers:
            server.edge.streams.let_go()
            async with asyncio.timeout(10):
                assert [await answer.content.read() for answer in answers] == [b"", b""]
        async with streaming(session):
            assert server.edge.streams.readers == 1
