"""The way to the shop: what is no answer is none, and nothing is followed or made up."""

from __future__ import annotations

import asyncio
import socket

import pytest

from monitor.adapters.names import Found, Names
from monitor.adapters.relay_wire import ANSWER_BYTES_MAX, ShopWire, request_bytes
from monitor.model.relay import ShopReply, StoredRequest
from monitor.model.shops import RawRequest
from tests.relay.shop import answer, open_shop


def stored(*headers: tuple[str, str], body: bytes = b"", rest: str = "") -> StoredRequest:
    return StoredRequest(RawRequest("POST", "/relay/a/b", headers, body, 0), rest)


async def sent(port: int, wire: ShopWire | None = None) -> ShopReply | None:
    request = stored(("Host", "shop.example"))
    return await (wire or ShopWire()).send(
        f"http://127.0.0.1:{port}/x", "", request, "1; attempt=1"
    )


async def test_redirect_is_an_answer_and_is_not_followed() -> None:
    """A shop that sends callbacks to its login page has not handled them."""
    async with open_shop(lambda _: answer(b"", 302, b"Location: /login\r\n")) as shop:
        reply = await sent(shop.port)
        assert reply is not None
        assert (reply.status, ("Location", "/login") in reply.headers) == (302, True)
        assert len(shop.seen) == 1


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        answer(b"x" * (ANSWER_BYTES_MAX + 1)),
    ],
    ids=["nothing", "no HTTP", "half", "bad chunk", "too long"],
)
async def test_what_is_no_whole_answer_is_none(said: bytes) -> None:
    """Half of a yes is no yes."""
    async with open_shop(lambda _: said) as shop:
        assert await sent(shop.port) is None


async def test_answer_to_the_end_of_the_connection_is_whole() -> None:
    """Without a length, as old servers send it; a 100 before it is passed over."""
    said = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n\r\nsuccess"
    async with open_shop(lambda _: said) as shop:
        reply = await sent(shop.port)
        assert reply is not None
        assert (reply.status, reply.body) == (200, b"success")


async def test_shop_that_hangs_and_one_that_is_not_there_have_no_answer() -> None:
    """Neither is waited for longer than a script may run."""
    async with open_shop() as shop:
        shop.gate.clear()
        assert await sent(shop.port, ShopWire(answer_s=0.05)) is None
        await asyncio.wait_for(shop.changed.wait(), 10)
        shop.gate.set()
        await shop.close()
        assert await sent(shop.port) is None


async def test_name_that_cannot_be_is_no_answer() -> None:
    """A label of more than 63 letters: an error of the system's own kind, and no reason to stop."""
    assert await ShopWire().send(f"http://{'a' * 70}.example/x", "", stored(), "1") is None


async def test_metadata_service_behind_a_name_is_refused() -> None:
    """The guard of addresses holds here too: whoever owns a name decides where it leads."""

    def look_up(_name: str, _family: int) -> Found:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 0))]

    wire = ShopWire(Names(look_up))
    assert await wire.send("http://shop.internal/x", "", stored(), "1") is None
    assert wire.blocked == {"metadata": 1}


def test_lines_about_the_connection_stay_behind_and_ours_come_last() -> None:
    """RFC 9110 §7.6.1: also those that `Connection` names; a length is that of the body."""
    request = stored(
        ("Host", "shop.example"), ("Connection", "close, X-Hop"), ("X-Hop", "1"),
        ("Transfer-Encoding", "chunked"), ("Expect", "100-continue"), ("A", "ü"), body=b"ab",
        rest="/more?x=%zz",
    )  # fmt: skip
    made = request_bytes("http://127.0.0.1:1/notify", "", request, "7; attempt=2")
    assert made.decode("utf-8") == (
        "POST /notify/more?x=%zz HTTP/1.1\r\nHost: shop.example\r\nA: ü\r\nContent-Length: 2\r\n"
        "X-Delivery-Monitor-Relay: 7; attempt=2\r\nConnection: close\r\n\r\nab"
    )


@pytest.mark.parametrize(
    ("forward", "rest", "line"),
    [
        ("http://h", "", "POST / HTTP/1.1"),
        ("http://h", "?a=1", "POST /?a=1 HTTP/1.1"),
        ("http://h/", "/x", "POST //x HTTP/1.1"),
        ("http://h", "/x?a=1", "POST /x?a=1 HTTP/1.1"),
        ("http://h/n", "?", "POST /n? HTTP/1.1"),
    ],
)
def test_target_is_the_path_of_forward_and_what_stands_behind_the_relay(
    forward: str, rest: str, line: str
) -> None:
    """Nothing is normalised: an empty query keeps its mark."""
    made = request_bytes(forward, "other.example", stored(rest=rest), "1")
    assert made.decode().split("\r\n")[:2] == [line, "Host: other.example"]
