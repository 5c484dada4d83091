"""Look-ups of names: each by itself, none in the way of another, none waited for at the end."""

import asyncio
import socket
import threading
import time
from collections import Counter

import pytest

from monitor.adapters.http_client import HttpClient
from monitor.adapters.names import LOOK_UPS_MAX, Found, Names
from monitor.model.errors import Transient


class Slow:
    """A name server that says nothing of names that begin with `dead` until it may."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.asked: Counter[str] = Counter()

    def __call__(self, host: str, family: int) -> Found:
        self.asked[host] += 1
        if host.startswith("dead"):
            self.may.wait(20)
        if host.startswith("none"):
            raise socket.gaierror(socket.EAI_NONAME, "not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", 0))]


async def test_dead_name_holds_up_no_other() -> None:
    """Twenty callers wait for one dead name on one thread; forty other names are answered."""
    server = Slow()
    names = Names(server)
    waiting = [asyncio.create_task(names.resolve("dead.example", 1)) for _ in range(20)]
    for number in range(40):
        (found,) = await names.resolve(f"n{number}.example", 443)
        assert (found["host"], found["port"], found["hostname"]) == (
            "192.0.2.7", 443, f"n{number}.example",
        )  # fmt: skip
    assert server.asked["dead.example"] == 1
    server.may.set()
    assert len(await asyncio.gather(*waiting)) == 20


async def test_name_is_asked_anew_every_time() -> None:
    """No answer is remembered: an address that moved is found with the next dial."""
    server = Slow()
    names = Names(server)
    for _ in range(3):
        await names.resolve("shop.example", 80)
        await asyncio.sleep(0)
    assert server.asked["shop.example"] == 3


async def test_one_who_gives_up_does_not_take_the_answer_from_the_others() -> None:
    """A timeout of one request leaves the look-up to those who wait longer."""
    server = Slow()
    names = Names(server)
    patient = asyncio.create_task(names.resolve("dead.example", 80))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await names.resolve("dead.example", 80)
    server.may.set()
    assert (await patient)[0]["host"] == "192.0.2.7"


async def test_too_many_at_once_fail_for_now() -> None:
    """The number of threads has a limit; the one too many may be tried again."""
    server = Slow()
    names = Names(server)
    waiting = [
        asyncio.create_task(names.resolve(f"dead{number}.example", 80))
        for number in range(LOOK_UPS_MAX)
    ]
    await asyncio.sleep(0)
    client = HttpClient(resolver=names)
    with pytest.raises(Transient, match="cannot be resolved"):
        await client.request("POST", "http://one-more.example/")
    await client.close()
    server.may.set()
    await asyncio.gather(*waiting)


async def test_unknown_name_is_an_error_for_everybody() -> None:
    """Who asks together fails together, and the next one asks again."""
    server = Slow()
    names = Names(server)
    ends = await asyncio.gather(
        names.resolve("none.example", 80), names.resolve("none.example", 80), return_exceptions=True
    )
    assert [type(end) for end in ends] == [socket.gaierror, socket.gaierror]
    assert server.asked["none.example"] == 1


def test_end_of_the_loop_does_not_wait_for_a_dead_name() -> None:
    """The loop's own threads would be joined; this one is left behind."""
    server = Slow()

    async def ask() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await Names(server).resolve("dead.example", 80)

    started_s = time.thread_time(), time.monotonic()
    asyncio.run(ask())
    assert time.monotonic() - started_s[1] < 10  # of the 20 s that the server is silent
    server.may.set()
