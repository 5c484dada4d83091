"""The client against real loopback servers: what is known after each way to fail."""

import asyncio
import os
import socket
import time
import traceback
from collections.abc import AsyncIterator, Iterator

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from monitor.adapters.http_client import ANSWER_BYTES_MAX, CONNECTIONS_PER_HOST_MAX, HttpClient
from monitor.model.errors import EffectError, Permanent, Transient, UnknownOutcome
from tests.loopback import DROP, HANG, Answer, Loopback, loopback, raw_server

TOKEN = "tok3n-in-the-url"


@pytest.fixture
async def server() -> AsyncIterator[Loopback]:
    async with loopback() as running:
        yield running


@pytest.fixture
async def client(server: Loopback) -> AsyncIterator[HttpClient]:
    made = HttpClient(config_hosts=[server.place])
    yield made
    await made.close()


class Fixed(AbstractResolver):
    """Answers every name with one address, the way a rebinding DNS server does at its worst."""

    def __init__(self, address: str) -> None:
        self.address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=self.address,
                port=port,
                family=socket.AF_INET6 if ":" in self.address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        return


async def test_plain_answer_is_returned_with_lower_case_headers(
    client: HttpClient, server: Loopback
) -> None:
    """Status, headers and body come back; method, headers and body went out."""
    server.script = [Answer(status=418, body=b"teapot", headers={"X-Why": "tea"})]
    answer = await client.request("POST", server.url("/a?b=1"), headers={"X-Id": "7"}, body=b"hi")
    assert (answer.status, answer.body, answer.headers["x-why"]) == (418, b"teapot", "tea")
    seen = server.seen[0]
    assert (seen.method, seen.path, seen.query, seen.body) == ("POST", "/a", {"b": "1"}, b"hi")
    assert seen.headers["x-id"] == "7"


async def test_retired_client_ends_with_its_last_request(
    client: HttpClient, server: Loopback
) -> None:
    """What is under way gets its answer, a late request is sent too, and no session stays open."""
    sent = asyncio.create_task(client.request("POST", server.url("/early")))
    while not client._under_way:
        await asyncio.sleep(0)
    await client.retire()
    assert (await sent).status == 200
    assert client._sessions == {}
    assert (await client.request("POST", server.url("/late"))).status == 200
    assert client._sessions == {}
    assert [one.path for one in server.seen] == ["/early", "/late"]


async def test_request_that_waits_for_a_closed_pool_is_an_effect_error(
    client: HttpClient, server: Loopback
) -> None:
    """Nobody cancelled it, so it must not end its task; and a real cancellation still does."""
    server.script = [HANG]
    count = CONNECTIONS_PER_HOST_MAX + 1
    sent = [asyncio.create_task(client.request("POST", server.url())) for _ in range(count)]
    while len(server.seen) < CONNECTIONS_PER_HOST_MAX:
        await asyncio.sleep(0.001)
    await client.close()
    ends = await asyncio.gather(*sent, return_exceptions=True)
    assert [type(one) for one in ends] == [UnknownOutcome] * count
    cancelled = asyncio.create_task(client.request("POST", server.url()))
    while len(server.seen) <= CONNECTIONS_PER_HOST_MAX:
        await asyncio.sleep(0.001)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled


async def test_redirect_is_an_answer_and_not_followed(client: HttpClient, server: Loopback) -> None:
    """A 302 to the same trusted host is returned as it is; nobody is asked twice."""
    server.script = [Answer(status=302, headers={"Location": "/elsewhere"}), Answer()]
    assert (await client.request("POST", server.url())).status == 302
    assert len(server.seen) == 1


async def test_connection_is_never_used_twice() -> None:
    """A kept connection may be dead already, and then a request that never arrived is unknown."""
    connections: list[str] = []

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append("one more")
        while await reader.readline():
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")

    async with raw_server(speak) as place:
        other = HttpClient(config_hosts=[place])
        for _ in range(2):
            assert (await other.request("GET", f"http://{place}/")).status == 200
        await other.close()
    assert len(connections) == 2


async def test_long_answer_is_cut(client: HttpClient, server: Loopback) -> None:
    """A peer cannot fill our memory: 16 KiB are read, the rest is left."""
    server.script = [Answer(body=b"x" * 1_000_000)]
    assert (await client.request("GET", server.url())).body == b"x" * ANSWER_BYTES_MAX


async def test_compressed_answer_is_not_unpacked(client: HttpClient, server: Loopback) -> None:
    """No decompression bomb: bytes stay as they came."""
    server.script = [Answer(body=b"\x1f\x8bnot really", headers={"Content-Encoding": "gzip"})]
    assert (await client.request("GET", server.url())).body == b"\x1f\x8bnot really"


async def test_refused_connection_is_transient(client: HttpClient) -> None:
    """Nobody listens: certainly not done."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        place = f"127.0.0.1:{gone.getsockname()[1]}"
    other = HttpClient(config_hosts=[place])
    with pytest.raises(Transient):
        await other.request("POST", f"http://{place}/")
    await other.close()


async def test_unresolvable_name_is_transient() -> None:
    """`.invalid` never resolves (RFC 6761): nothing left us."""
    other = HttpClient()
    with pytest.raises(Transient):
        await other.request("POST", "http://nowhere.invalid/")
    await other.close()


async def test_connect_that_hangs_is_transient() -> None:
    """A listener whose queue is full swallows the dial: still nothing of the request left."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        other = HttpClient(config_hosts=[f"127.0.0.1:{address[1]}"])
        with pytest.raises(Transient):
            await other.request("POST", f"http://127.0.0.1:{address[1]}/", timeout_ms=600)
        await other.close()
        for filler in fillers:
            filler.close()


async def test_tls_with_a_plain_server_is_transient(client: HttpClient, server: Loopback) -> None:
    """The handshake fails before the request is written."""
    with pytest.raises(Transient):
        await client.request("POST", f"https://{server.place}/")
    assert server.seen == []


async def test_answer_that_never_comes_is_unknown(client: HttpClient, server: Loopback) -> None:
    """The request arrived; whether it was done nobody knows."""
    server.script = [HANG]
    started = time.monotonic()
    with pytest.raises(UnknownOutcome):
        await client.request("POST", server.url(), timeout_ms=300)
    assert time.monotonic() - started < 3
    assert len(server.seen) == 1


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_connection_dropped_after_the_request_is_unknown_and_sent_once(
    client: HttpClient, server: Loopback, method: str
) -> None:
    """Nothing is repeated behind the caller's back, not even a PUT."""
    server.script = [DROP]
    with pytest.raises(UnknownOutcome):
        await client.request(method, server.url(), body=b"x")
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "reply",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
    ],
)
async def test_unreadable_answer_is_unknown(reply: bytes) -> None:
    """Garbage, half a body, a bad chunk and an endless header prove nothing."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)

    async with raw_server(speak) as place:
        other = HttpClient(config_hosts=[place])
        with pytest.raises(UnknownOutcome):
            await other.request("POST", f"http://{place}/", timeout_ms=2_000)
        await other.close()


@pytest.mark.parametrize(
    "spelling",
    [
        "http://127.0.0.1:{port}/",
        "http://127.1:{port}/",
        "http://0x7f.1:{port}/",
        "http://2130706433:{port}/",
        "http://0177.0.0.1:{port}/",
        "http://localhost:{port}/",
        "http://127。0。0。1:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://[::ffff:7f00:1]:{port}/",
        "http://0.0.0.0:{port}/",
        "http://[::]:{port}/",
        "http://[::1]:{port}/",
        "http://user@127.0.0.1:{port}/",
        "http://public.example@127.0.0.1:{port}/",
        "http://169.254.169.254/latest/meta-data",
        "http://[2002:7f00:1::]:{port}/",
        "http://[64:ff9b::7f00:1]:{port}/",
    ],
)
async def test_private_address_in_any_spelling_is_refused(server: Loopback, spelling: str) -> None:
    """However loopback is written, no connection is made and the refusal is final.

    Purely numeric short forms are no URL for aiohttp; all others reach the guard as addresses.
    """
    other = HttpClient(config_hosts=["shop.example:443"])
    with pytest.raises(Permanent) as caught:
        await other.request("POST", spelling.format(port=server.port))
    is_short_number = any(form in spelling for form in ("127.1:", "2130706433", "0177"))
    assert caught.value.code == ("bad_url" if is_short_number else "egress_refused")
    assert server.seen == []
    await other.close()


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "169.254.169.254"])
async def test_name_that_resolves_to_a_private_address_is_refused(
    server: Loopback, address: str
) -> None:
    """DNS rebinding: the address that is dialled decides, whatever was resolved before."""
    other = HttpClient(resolver=Fixed(address))
    with pytest.raises(Permanent) as caught:
        await other.request("POST", f"http://public.example:{server.port}/")
    assert caught.value.code == "egress_refused"
    assert server.seen == []
    await other.close()


async def test_configured_host_may_be_private_but_only_on_its_port(server: Loopback) -> None:
    """The exception is the exact host:port, and another spelling of it is another host."""
    async with loopback() as neighbour:
        other = HttpClient(config_hosts=[server.place])
        assert (await other.request("GET", server.url())).status == 200
        for url in (neighbour.url(), f"http://localhost:{server.port}/"):
            with pytest.raises(Permanent):
                await other.request("GET", url)
        assert neighbour.seen == []
        await other.close()


async def test_allowed_network_may_be_reached(server: Loopback) -> None:
    """`egress.allow` opens a network for every host in it."""
    other = HttpClient(allow_networks=["127.0.0.0/8"])
    assert (await other.request("GET", server.url())).status == 200
    await other.close()


@pytest.mark.parametrize(
    "url",
    ["ftp://a/", "file:///etc/passwd", "/relative", "http://", "http://" + "a" * 70 + ".example/"],
)
async def test_url_that_leads_nowhere_is_permanent(url: str) -> None:
    """A wrong URL stays wrong."""
    other = HttpClient()
    with pytest.raises(Permanent) as caught:
        await other.request("GET", url)
    assert caught.value.code == "bad_url"
    await other.close()


@pytest.mark.parametrize(
    "headers",
    [{"X-Order": "o1\r\nX-Paid: yes"}, {"X\nY": "1"}, {"X": "a\x00b"}, {"": "x"}],
)
async def test_header_that_would_break_the_line_is_permanent(
    client: HttpClient, server: Loopback, headers: dict[str, str]
) -> None:
    """Values come from orders: no header injection, and no crash either."""
    with pytest.raises(Permanent):
        await client.request("GET", server.url(), headers=headers)
    assert server.seen == []


@pytest.fixture
def dead_proxy() -> Iterator[None]:
    before = os.environ.get("http_proxy")
    os.environ["http_proxy"] = "http://127.0.0.1:1"
    yield
    del os.environ["http_proxy"]
    if before is not None:
        os.environ["http_proxy"] = before


async def test_environment_proxy_is_ignored(
    client: HttpClient, server: Loopback, dead_proxy: None
) -> None:
    """A proxy variable of the machine must not see our secrets."""
    assert (await client.request("GET", server.url())).status == 200


async def test_two_kinds_of_credentials_are_permanent(client: HttpClient, server: Loopback) -> None:
    """A user in the URL and an Authorization header contradict each other."""
    with pytest.raises(Permanent):
        await client.request(
            "GET", f"http://user:pw@{server.place}/", headers={"Authorization": "Bearer x"}
        )
    assert server.seen == []


@pytest.mark.parametrize("script", [HANG, DROP])
async def test_token_of_the_url_is_in_no_message(
    client: HttpClient, server: Loopback, script: Answer
) -> None:
    """Robot URLs carry their token: neither text nor traceback nor a chained error shows it."""
    server.script = [script]
    url = server.url(f"/{TOKEN}?access_token={TOKEN}")
    with pytest.raises(EffectError) as caught:
        await client.request("POST", url, timeout_ms=300)
    assert TOKEN not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None
    assert server.place in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [f"http://nowhere.invalid/{TOKEN}", f"http://127.0.0.1:1/?t={TOKEN}", f"gopher://{TOKEN}/"],
)
async def test_token_is_in_no_message_when_nothing_was_sent(url: str) -> None:
    """The same before the first byte left."""
    other = HttpClient(config_hosts=["127.0.0.1:1"])
    with pytest.raises(EffectError) as caught:
        await other.request("POST", url)
    assert TOKEN not in "".join(traceback.format_exception(caught.value))
    await other.close()
