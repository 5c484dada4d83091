"""Requests that nobody can read, by the thousand: the file stays small, and none is refused lightly."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import apsw

from benchmarks.relay_sim import HOUR_S, InlineJobs, SimShop, World, callback
from monitor.adapters.gateways import GATEWAYS
from monitor.adapters.relay_store import RelayStore
from monitor.core.relay.pace import PLAIN_BURST, PLAIN_PER_S, Allowance
from monitor.model.events import OrderEvent
from monitor.model.relay import RelaySettings
from monitor.runtime.relay import PASSING_MAX, Relay
from monitor.runtime.relay_ports import Relayed
from monitor.sim.virtual_loop import run_virtual
from tests.relay.shop import answer, open_shop
from tests.relay.world import get, raw, running, said, settings_of, yipay


def test_allowance_is_a_burst_and_then_a_few_a_second() -> None:
    """A full one at first, never more than full."""
    allowance = Allowance()
    assert sum(allowance.take(1_000_000) for _ in range(500)) == PLAIN_BURST
    assert sum(allowance.take(1_001_000) for _ in range(500)) == PLAIN_PER_S
    assert sum(allowance.take(9_000_000) for _ in range(500)) == PLAIN_BURST


async def test_flood_reaches_the_shop_and_fills_no_disk(tmp_path: Path) -> None:
    """Everything has the shop's own answer; what is beyond the allowance is not kept at all."""
    count = 2 * PLAIN_BURST
    async with open_shop() as shop, running(tmp_path, settings_of(shop.port)) as monitor:
        shop.says = lambda _: answer(b"what?", 404)
        for _ in range(count // 20):
            asked = [raw(monitor.url, get(f"n={number}")) for number in range(20)]
            assert {said(one) for one in await asyncio.gather(*asked)} == {(404, b"what?")}
        assert len(shop.seen) == count
        kept = apsw.Connection(str(tmp_path / "relay.db")).execute("SELECT max(id) FROM callback")
        assert kept.get < count


async def test_flood_of_a_shop_that_hangs_is_told_to_come_back(tmp_path: Path) -> None:
    """So many at once wait unkept, no more; a payment is still taken."""
    async with open_shop() as shop, running(tmp_path, settings_of(shop.port)) as monitor:
        count = PLAIN_BURST + PASSING_MAX + 200
        shop.gate.clear()
        asked = [asyncio.create_task(raw(monitor.url, get(f"n={one}"))) for one in range(count)]
        done, waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        assert b"Retry-After: 5" in next(iter(done)).result()
        paid = asyncio.create_task(raw(monitor.url, get(yipay("A1"))))
        shop.gate.set()
        codes = Counter(said(one)[0] for one in await asyncio.gather(*asked))
        assert 0 < codes[503] <= 200
        assert said(await paid) == (200, b"success")
        assert waiting


async def no_room(world: World, folder: Path) -> None:
    """A store of one byte before a shop that is down."""
    store = RelayStore(folder, InlineJobs(world._connection), bytes_max=1)
    relay = Relay(store, world.shop, world.clock, world.supervisor, nobody_told, str)
    settings = RelaySettings("main", "b", "bepusdt", "http://shop/pay/notify")
    relay.renew({settings.name: Relayed(settings, GATEWAYS[settings.kind](settings.keys))})
    await asyncio.sleep(1)
    assert (
        "relay: relay.db is full: callbacks that no key checks are only passed on" in relay.notes()
    )
    reply = await relay.take(settings.name, callback("o1", 2, world.clock.now_ms()), "")
    assert (reply.status, (await store.counts()).owed) == (502, 0)
    await relay.stop()


async def nobody_told(events: tuple[OrderEvent, ...]) -> tuple[str, ...]:
    await asyncio.sleep(0)
    return ("accepted",) * len(events)


def test_payment_that_cannot_be_kept_is_not_acknowledged(tmp_path: Path) -> None:
    """The gateway hears what the shop says, as without a relay, and people are told."""
    run_virtual(no_room(World(SimShop(HOUR_S), tmp_path), tmp_path))
