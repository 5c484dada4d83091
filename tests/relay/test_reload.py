"""Relays that come and go: what is under way stays one request, what is owed is never forgotten."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.relay_sim import HOUR_S, InlineJobs, SimShop, World, callback
from monitor.adapters.gateways import GATEWAYS
from monitor.adapters.relay_store import RelayStore
from monitor.app import Monitor
from monitor.model.errors import StorageError
from monitor.model.relay import RelaySettings
from monitor.runtime.relay import Relay
from monitor.runtime.relay_ports import Relayed
from monitor.sim.virtual_loop import run_virtual
from tests.relay.shop import open_shop
from tests.relay.world import get, raw, running, said, settings_of, yipay


def relayed(settings: RelaySettings) -> dict[str, Relayed]:
    return {settings.name: Relayed(settings, GATEWAYS[settings.kind](settings.keys))}


class UnsteadyJobs(InlineJobs):
    """A disk that refuses everything for the first second after `falters`."""

    until_s = 0.0

    def falters(self) -> None:
        self.until_s = asyncio.get_running_loop().time() + 1

    async def run(self, job: Any, **how: bool) -> Any:
        if asyncio.get_running_loop().time() < self.until_s:
            raise StorageError("disk busy")
        return await super().run(job, **how)


async def added_while_the_disk_falters(world: World, folder: Path) -> None:
    """A relay comes to the configuration; its first callback is at the shop for half a minute."""
    jobs = UnsteadyJobs(world._connection)
    settings = [RelaySettings("main", name, "bepusdt", "http://shop/pay/notify") for name in "ab"]

    async def tell(events: tuple[Any, ...]) -> tuple[str, ...]:
        await asyncio.sleep(0)
        return ("accepted",) * len(events)

    relay = Relay(RelayStore(folder, jobs), world.shop, world.clock, world.supervisor, tell, str)
    relay.renew(relayed(settings[0]))
    await asyncio.sleep(1)
    jobs.falters()
    relay.renew(relayed(settings[0]) | relayed(settings[1]))
    await asyncio.sleep(2)
    reply = asyncio.create_task(relay.take("main/b", callback("o1", 2, world.clock.now_ms()), ""))
    await asyncio.sleep(60)
    assert (await reply).body == b"ok"
    await relay.stop()
    assert world.supervisor.failure is None


def test_relay_is_added_while_the_disk_falters_and_its_callback_is_asked_once(
    tmp_path: Path,
) -> None:
    """What is at the shop is not taken up a second time, and the service stays."""
    shop = SimShop(0, handles_s=30)
    run_virtual(added_while_the_disk_falters(World(shop, tmp_path), tmp_path))
    assert (shop.requests["o1"], shop.processed["o1"]) == (1, 1)


async def test_reload_while_a_callback_is_at_the_shop_changes_nothing_for_it(
    tmp_path: Path,
) -> None:
    """One request, and its answer reaches the gateway, also if its relay is taken out meanwhile."""
    async with open_shop() as shop, running(tmp_path, settings_of(shop.port)) as monitor:
        shop.gate.clear()
        asked = asyncio.create_task(raw(monitor.url, get(yipay("A1"))))
        await shop.wait_for(1)
        other = settings_of(shop.port, gateway="other")
        monitor.relay.renew(relayed(settings_of(shop.port)) | relayed(other))
        monitor.relay.renew(relayed(other))
        shop.gate.set()
        assert said(await asked) == (200, b"success")
        assert monitor.relay.notes() == []
    assert len(shop.seen) == 1


async def noted(monitor: Monitor, words: str) -> None:
    """Wait until people are told."""
    async with asyncio.timeout(20), aiohttp.ClientSession() as client:
        while words not in await (await client.get(f"{monitor.url}/readyz?verbose")).text():
            await asyncio.sleep(0.02)


async def test_what_a_renamed_relay_owes_is_said_and_goes_when_it_is_back(tmp_path: Path) -> None:
    """Nobody knows where the other name leads; under the old one the shop gets it."""
    async with open_shop() as shop:
        async with running(tmp_path, settings_of(shop.port)) as monitor:
            await shop.close()
            assert said(await raw(monitor.url, get(yipay("A1")))) == (200, b"success")
        await shop.open()
        renamed = settings_of(shop.port, gateway="renamed")
        async with running(tmp_path, renamed) as monitor:
            await noted(monitor, "1 callbacks are owed by relay main/epay, which is not configured")
            assert said(await raw(monitor.url, get(yipay("A2"), "/relay/main/renamed")))[0] == 200
            assert len(shop.seen) == 1
            monitor.relay.renew(relayed(renamed) | relayed(settings_of(shop.port)))
            await shop.wait_for(2)
        assert "out_trade_no=A1" in shop.seen[1].target


async def test_what_a_relay_owes_is_said_when_none_is_configured_any_more(tmp_path: Path) -> None:
    """The last relay went out of the file, and its duty is still there."""
    async with open_shop() as shop, running(tmp_path, settings_of(shop.port)) as monitor:
        await shop.close()
        await raw(monitor.url, get(yipay("A1")))
    async with running(tmp_path) as monitor:
        await noted(monitor, "1 callbacks are owed by relay main/epay, which is not configured")


async def left_for_good(world: World, folder: Path) -> None:
    """A relay that owes something is renamed and never comes back."""
    async with world.relay("bepusdt") as relay:
        reply = await relay.take("main/bepusdt", callback("o1", 2, world.clock.now_ms()), "")
        assert reply.body == b"ok"
    async with world.relay("epusdt"):
        await asyncio.sleep(73 * HOUR_S)
        counts = await RelayStore(folder, world.jobs).counts()
    assert (counts.owed, counts.undelivered) == (0, 1)


def test_what_a_relay_owes_that_never_comes_back_is_for_a_person(tmp_path: Path) -> None:
    """Nothing is sent anywhere, and when its 72 hours are over somebody is told."""
    shop = SimShop(HOUR_S)
    world = World(shop, tmp_path)
    run_virtual(left_for_good(world, tmp_path), max_s=80 * HOUR_S)
    assert shop.processed["o1"] == 0
    assert "callback_undelivered" in {event.reason for event in world.told.values()}
