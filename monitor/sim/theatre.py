"""The demo's play in virtual time, with the whole service: the story without the waiting.

    buyers ─► courier ─► POST /v1/events ─► the service ─► shop, supplier, chat of `sim/loopback`
                 ▲                                            │
                 └────────── goods taken, told as events ◄────┘

Everything random comes from the seed, everything timed from the virtual loop: the same seed gives
the same log, byte for byte. What happens in bad weather is the business of `sim/trial`.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from pathlib import Path

import aiohttp
import msgspec

from monitor.config.load import load
from monitor.config.rules_file import load_rules
from monitor.core.engine import Engine
from monitor.ports import StoredSegment
from monitor.sim.courier import Courier
from monitor.sim.deployment import Deployment
from monitor.sim.loopback import Loopback
from monitor.sim.machine import SoundDisk
from monitor.sim.memory_folder import memory_folder
from monitor.sim.post import post
from monitor.sim.stage import ORDERS_PER_S, RULES, Play, configuration, pool_keys, shrunk
from monitor.sim.story import Outcome, Story
from monitor.sim.traffic import Traffic
from monitor.sim.virtual_loop import VirtualClock
from monitor.sim.wire import Address
from monitor.sim.world import SKU, Chat, Shop, Supplier
from monitor.sim.world_loop import run_world

SERVICE: Address = ("127.0.0.1", 8080)
WORLD: Address = ("127.0.0.1", 9000)
CONNECTIONS = 3


class Ending(msgspec.Struct, frozen=True, eq=False):
    """What is left when the play is over and the service was stopped in order."""

    outcome: Outcome
    log: tuple[StoredSegment, ...]
    engine: Engine
    supplier: Supplier
    lines: tuple[str, ...]


def played(seed: int, seconds: float) -> Ending:
    """Play the story in virtual time."""

    async def perform() -> Ending:
        with tempfile.TemporaryDirectory(prefix="theatre-", dir=memory_folder()) as name:
            return await _perform(seed, seconds, Path(name))

    return run_world(perform(), seed=seed)


async def _perform(seed: int, seconds: float, folder: Path) -> Ending:
    clock = VirtualClock()
    shop, chat, supplier = Shop(), Chat(), Supplier(_chance("supplier", seed))
    world = Loopback(shop, supplier, chat, clock)
    service = _service(seed, folder)
    await world.start([WORLD[1]])
    await service.fill_pool(pool_keys(seed), SKU)
    await service.start()
    monitor = service.monitor
    assert monitor is not None
    await monitor.wait_until_ready()
    lines: list[str] = []
    story = Story(monitor.engine, shop, supplier, chat, lines.append)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        courier = Courier(lambda events: post(session, SERVICE, events))
        loop = asyncio.get_running_loop()
        couriers = [loop.create_task(courier.run()) for _ in range(CONNECTIONS)]
        traffic = Traffic(
            shop, clock, _chance("buyers", seed), courier.emit, orders_per_s=ORDERS_PER_S
        )
        play = Play(story, traffic, shop, clock, world.delivered, seconds=seconds)
        outcome = await play.perform(courier.flushed())
        await service.stop()
        for one in couriers:
            one.cancel()
    remains = await service.once_more()
    await world.stop()
    return Ending(outcome, remains.log, monitor.engine, supplier, tuple(lines))


def _service(seed: int, folder: Path) -> Deployment:
    config, rules = folder / "monitor.yaml", folder / "rules.yaml"
    url = f"http://{WORLD[0]}:{WORLD[1]}"
    config.write_text(configuration(url, str(folder / "data"), f"{SERVICE[0]}:{SERVICE[1]}"))
    rules.write_text(RULES)
    loaded = load(config, environ={})
    loaded = msgspec.structs.replace(loaded, settings=shrunk(loaded.settings))
    return Deployment(
        folder, loaded, load_rules([rules]), SoundDisk(_chance("disk", seed)), seed=seed
    )


def _chance(what: str, seed: int) -> random.Random:
    return random.Random(f"{what} {seed}")  # noqa: S311 - repeatable, not secret
