"""The relay of a whole monitor: stored, forwarded, answered; owed where the shop does not take it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.relay.shop import Seen, answer, open_shop
from tests.relay.world import FORWARD, get, raw, running, said, settings_of, yipay


def order_of(seen: Seen) -> str:
    return seen.target.partition("out_trade_no=")[2].partition("&")[0]


async def test_callback_reaches_the_shop_and_its_answer_the_gateway(tmp_path: Path) -> None:
    """What the gateway sends arrives byte for byte, and what the shop says goes back as it is."""
    async with open_shop() as shop, running(tmp_path, settings_of(shop.port)) as monitor:
        query = yipay("A1")
        assert said(await raw(monitor.url, get(query))) == (200, b"success")
    (seen,) = shop.seen
    assert (seen.method, seen.target, seen.body) == ("GET", f"{FORWARD}?{query}", b"")
    assert seen.lines[0] == b"Host: shop.example"


async def test_fifty_duplicates_at_once_are_one_request(tmp_path: Path) -> None:
    """Repeats wait for the answer to the first, and later ones get the recorded answer."""
    async with open_shop() as shop, running(tmp_path, settings_of(shop.port)) as monitor:
        shop.gate.clear()
        asked = [asyncio.create_task(raw(monitor.url, get(yipay("A1")))) for _ in range(50)]
        await shop.wait_for(1)
        shop.gate.set()
        assert {said(one) for one in await asyncio.gather(*asked)} == {(200, b"success")}
        assert said(await raw(monitor.url, get(yipay("A1")))) == (200, b"success")
    assert len(shop.seen) == 1


async def test_shop_that_is_down_gets_the_callback_when_it_is_back(tmp_path: Path) -> None:
    """The gateway hears its yes at once, and the shop gets the same bytes once it listens."""
    async with open_shop() as shop, running(tmp_path, settings_of(shop.port)) as monitor:
        await shop.close()
        assert said(await raw(monitor.url, get(yipay("A1")))) == (200, b"success")
        await shop.open()
        await shop.wait_for(1)
    assert shop.seen[0].target == f"{FORWARD}?{yipay('A1')}"


async def test_waiting_callback_is_never_acknowledged_in_the_place_of_the_shop(
    tmp_path: Path,
) -> None:
    """Only money is a duty: a message that the gateway waits is passed on, and so is its failure."""
    async with open_shop() as shop, running(tmp_path, settings_of(shop.port)) as monitor:
        shop.says = lambda _: answer(b"fail", 200)
        waiting = get(yipay("A1", status="WAIT_BUYER_PAY"))
        assert said(await raw(monitor.url, waiting)) == (200, b"fail")
        await shop.close()
        status, _ = said(await raw(monitor.url, waiting))
        assert status == 502
