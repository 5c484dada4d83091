"""Deadlines and places of connections: who owes something is let go, who came to talk is let in."""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import web

from monitor.api.edge import Limits
from monitor.api.guard import place_of
from monitor.api.listener import TAKEN_AT_ONCE
from monitor.api.routes import ROUTES, Route
from monitor.api.shed import CONNECTIONS
from tests.unit.api.serving import Server, serving

HEAD = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
HASTY = Limits(header_deadline_s=0.4, idle_s=1.6, answer_deadline_s=0.3, lingering_s=0.1)

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connected(server: Server, source: str = "127.0.0.1") -> AsyncIterator[Ends]:
    """A connection from an address of this machine."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, local_addr=(source, 0))
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def until_end(reader: asyncio.StreamReader) -> bytes:
    """What the server says until it ends the connection; empty when it only hangs up."""
    async with asyncio.timeout(10):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


async def ask_alive(ends: Ends) -> bytes:
    """The first line of the answer to a whole request, which stays open."""
    reader, writer = ends
    writer.write(HEAD + b"\r\n")
    async with asyncio.timeout(10):
        line = await reader.readline()
        rest = await reader.readuntil(b"\r\n\r\nok\n")
    assert rest
    return line


async def dribble(writer: asyncio.StreamWriter, raw: bytes, gap_s: float) -> None:
    """Send byte by byte until somebody hangs up."""
    with suppress(ConnectionError):
        for place in range(len(raw)):
            writer.write(raw[place : place + 1])
            await writer.drain()
            await asyncio.sleep(gap_s)


async def test_dribbled_head_is_a_408_at_its_deadline() -> None:
    """A byte now and then does not prolong the time for a head."""
    async with serving(limits=HASTY) as server, connected(server) as (reader, writer):
        sending = asyncio.create_task(dribble(writer, HEAD * 20, 0.02))
        answer = await until_end(reader)
        sending.cancel()
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"Connection: close" in answer
        assert b'"code":"timeout"' in answer


async def test_silent_newcomer_is_hung_up_on() -> None:
    """Who says nothing is told nothing."""
    async with serving(limits=HASTY) as server, connected(server) as (reader, _):
        assert await until_end(reader) == b""
        assert len(server.listener.connections) == 0


async def test_second_head_has_the_same_deadline() -> None:
    """After a whole request the next one may not be dribbled either."""
    limits = Limits(header_deadline_s=0.5, idle_s=30.0)
    async with serving(limits=limits) as server, connected(server) as ends:
        assert b"200" in await ask_alive(ends)
        reader, writer = ends
        writer.write(b"GET /live")
        assert (await until_end(reader)).startswith(b"HTTP/1.1 408 ")


async def test_connection_between_requests_waits_until_the_idle_limit() -> None:
    """The deadline of a head does not end a connection that owes nothing."""
    async with serving(limits=HASTY) as server, connected(server) as ends:
        assert b"200" in await ask_alive(ends)
        await asyncio.sleep(0.9)  # two deadlines of a head, half of the idle limit
        assert b"200" in await ask_alive(ends)
        assert await until_end(ends[0]) == b""


async def test_reader_that_takes_nothing_of_its_answer_is_cut_off() -> None:
    """A full socket does not keep a place for ever."""

    async def flood(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"x" * 50_000_000)

    routes = (*ROUTES, Route("GET", "/flood", None, flood))
    async with serving(limits=HASTY, routes=routes) as server, connected(server) as (_, writer):
        writer.write(b"GET /flood HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with asyncio.timeout(10):
            while not len(server.listener.connections):
                await asyncio.sleep(0.01)
            while len(server.listener.connections):
                await asyncio.sleep(0.01)


async def test_newcomer_takes_the_place_of_the_oldest_that_never_asked() -> None:
    """Sockets that only hold places keep nobody out; clients that have asked keep theirs."""
    async with (
        serving(limits=Limits(connections_max=3, grace_s=0.0)) as server,
        connected(server) as client,
        connected(server) as oldest,
        connected(server) as younger,
    ):
        assert b"200" in await ask_alive(client)
        younger[1].write(b"GET /li")
        async with connected(server) as newcomer:
            assert b"200" in await ask_alive(newcomer)
            assert await until_end(oldest[0]) == b""
            assert b"200" in await ask_alive(client)
            assert len(server.listener.connections) == 3


async def test_one_connection_too_many_hears_when_to_come_again() -> None:
    """Where all places are taken by requests under way, the next one is refused at once."""
    release = asyncio.Event()

    async def wait(_request: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.Response(text="done")

    routes = (*ROUTES, Route("GET", "/wait", None, wait))
    async with (
        serving(limits=Limits(connections_max=1), routes=routes) as server,
        connected(server) as busy,
    ):
        busy[1].write(b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with asyncio.timeout(10):
            while server.listener.connections._owing or not len(server.listener.connections):
                await asyncio.sleep(0.01)
        async with connected(server) as (reader, _):
            answer = await until_end(reader)
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"Retry-After: 1" in answer
        assert server.service.left_out.shed[CONNECTIONS] == 1
        release.set()
        async with asyncio.timeout(10):
            assert (await busy[0].readline()).startswith(b"HTTP/1.1 200 ")


async def test_longest_idle_gives_way_where_nobody_owes_anything() -> None:
    """Connections that asked once and then hold their place keep nobody out either."""
    async with (
        serving(limits=Limits(connections_max=2)) as server,
        connected(server) as regular,
        connected(server) as idler,
    ):
        for ends in (regular, idler, regular):
            assert b"200" in await ask_alive(ends)
        async with connected(server) as newcomer:
            assert b"200" in await ask_alive(newcomer)
            assert await until_end(idler[0]) == b""
            assert b"200" in await ask_alive(regular)


async def test_newcomers_of_one_moment_do_not_push_each_other_out() -> None:
    """Who has just come may have sent its request already: first those who hold a place for nothing."""
    async with (
        serving(limits=Limits(connections_max=4)) as server,
        connected(server) as first,
        connected(server) as second,
    ):
        for ends in (first, second):
            assert b"200" in await ask_alive(ends)
        async with (
            connected(server) as one,
            connected(server) as two,
            connected(server) as three,
            connected(server) as four,
        ):
            for ends in (one, two, three, four):
                assert b"200" in await ask_alive(ends)
        assert await until_end(first[0]) == b""
        assert await until_end(second[0]) == b""


async def test_dribbled_body_gives_way_and_a_whole_one_does_not() -> None:
    """A head is no ticket: until its body is whole, the request may be broken off."""
    async with (
        serving(limits=Limits(connections_max=1)) as server,
        connected(server) as (reader, writer),
    ):
        writer.write(b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{")
        async with asyncio.timeout(10):
            while not server.edge.flow.reading_bytes:
                await asyncio.sleep(0.01)
        async with connected(server) as newcomer:
            assert b"200" in await ask_alive(newcomer)
            assert await until_end(reader) == b""
        assert server.edge.flow.reading_bytes == 0


async def test_request_in_pieces_is_settled_when_its_last_byte_is_there() -> None:
    """What was owed is forgotten with the answer, also for the next request."""
    async with serving() as server, connected(server) as (reader, writer):
        for _ in range(2):
            for piece in (b"POST /v1/eve", b"nts HTTP/1.1\r\nHost: localhost\r\nContent-Le",
                          b"ngth: 2\r\n\r\n{", b"}"):  # fmt: skip
                writer.write(piece)
                await asyncio.sleep(0.02)
            async with asyncio.timeout(10):
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 415 ")
                await reader.readuntil(b"}")
            assert not server.listener.connections._owing


@pytest.mark.parametrize(
    ("proxies", "places"),
    [((), 2), ((ipaddress.ip_network("192.0.2.0/24"),), 5)],
)
async def test_address_has_so_many_places_and_a_proxy_as_many_as_there_are(
    proxies: tuple[ipaddress.IPv4Network, ...], places: int
) -> None:
    """One address cannot take all; behind a proxy there are many clients."""
    async with serving(limits=Limits(connections_per_address=2, proxies=proxies)) as server:
        connections = server.listener.connections
        taken = [connections.add(object(), "192.0.2.7") for _ in range(5)]  # type: ignore[arg-type]  # only its identity matters
        assert taken.count("") == places
        assert connections.add(object(), "127.0.0.1") == ""  # type: ignore[arg-type]  # the same
        connections._open.clear()


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "::ffff:192.0.2.7"),
    ],
)
def test_ipv6_host_with_many_addresses_is_one_place(address: str, place: str) -> None:
    """A host has a whole /64 to itself; an IPv4 address has no neighbours."""
    assert place_of(address) == place


async def test_gone_connections_leave_nothing_behind() -> None:
    """Places are given back, whoever ends."""
    async with serving() as server:
        for _ in range(20):
            async with connected(server) as ends:
                assert b"200" in await ask_alive(ends)
        async with asyncio.timeout(10):
            while len(server.listener.connections):
                await asyncio.sleep(0.01)
        assert not server.listener.connections._by_address
        assert not server.listener.connections._owing


async def test_many_may_wait_while_few_are_taken_at_once() -> None:
    """While the event loop is busy, the kernel keeps a crowd of connections for us."""
    async with serving() as server:
        crowd = []
        for _ in range(8 * TAKEN_AT_ONCE):  # nothing is awaited: none of them is taken yet
            one = socket.socket()
            one.settimeout(0.5)  # a lost SYN is sent again after a second
            one.connect(("127.0.0.1", server.port))
            crowd.append(one)
        assert len(server.listener.connections) == 0
        for one in crowd:
            one.close()
