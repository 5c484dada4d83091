"""Short stories in virtual time, each with what must be true at its end; findings are sentences."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.relay_sim import HOUR_S, SimShop, World, callback, run_storm
from monitor.model.relay import ShopReply
from monitor.runtime.relay import Relay
from monitor.sim.virtual_loop import run_virtual

NAME = "main/bepusdt"


async def say(relay: Relay, world: World, order: str, status: int) -> ShopReply:
    return await relay.take(NAME, callback(order, status, world.clock.now_ms()), "")


async def killed_after_a_yes(world: World) -> list[str]:
    """The shop is down; the relay dies the moment after it has said yes, and starts again."""
    acknowledged = []
    for life in range(3):
        async with world.relay("bepusdt") as relay:
            for number in range(5):
                order = f"o{life}{number}"
                if (await say(relay, world, order, 2)).body == b"ok":
                    acknowledged.append(order)
            world.jobs.is_dead = True
    async with world.relay("bepusdt"):
        await asyncio.sleep(2 * HOUR_S)
    return [f"{one} is lost" for one in acknowledged if one not in world.shop.processed]


async def waiting_before_paid(world: World) -> list[str]:
    """1, 1, 2: waiting is accepted by the shop, and the payment behind it must reach it too."""
    async with world.relay("bepusdt") as relay:
        for status in (1, 1, 2):
            await say(relay, world, "o1", status)
            await asyncio.sleep(60)
    return [] if world.shop.processed["o1"] == 1 else ["o1 is lost"]


async def many_at_once(world: World) -> list[str]:
    """A slow shop, and everything about one order at once, also in two bodies."""
    async with world.relay("bepusdt") as relay:
        asked = [say(relay, world, "o1", status) for status in (1, 2, 2, 3, 2, 1)]
        await asyncio.gather(*asked)
        await asyncio.sleep(600)
    found = [] if world.shop.most_at_once["o1"] == 1 else ["two requests of o1 at once"]
    return found + ([] if world.shop.processed["o1"] == 1 else ["o1 is processed twice"])


async def waiting_and_nobody_there(world: World) -> list[str]:
    """Nobody may say yes to a gateway that only waits."""
    async with world.relay("bepusdt") as relay:
        replies = [await say(relay, world, f"o{number}", 1) for number in range(6)]
    return ["a waiting one is acknowledged" for one in replies if one.status < 500]


async def warning_instead_of_a_yes(world: World) -> list[str]:
    """The shop says a PHP warning with the word behind it, and has handled nothing."""
    async with world.relay("bepusdt") as relay:
        await say(relay, world, "o1", 2)
        await asyncio.sleep(HOUR_S)
    return [] if world.shop.processed["o1"] == 1 else ["o1 is lost"]


Story = Callable[[World], Awaitable[list[str]]]
STORIES: tuple[tuple[Story, Callable[[], SimShop]], ...] = (
    (killed_after_a_yes, lambda: SimShop(HOUR_S)),
    (waiting_before_paid, lambda: SimShop(0)),
    (many_at_once, lambda: SimShop(0, handles_s=20)),
    (waiting_and_nobody_there, lambda: SimShop(HOUR_S)),
    (warning_instead_of_a_yes, lambda: SimShop(0, warns_s=600)),
)


def findings(folder: Path) -> list[str]:
    """All stories, and the storm of a gateway that never tires."""
    found = []
    for number, (story, shop) in enumerate(STORIES):
        place = folder / str(number)
        place.mkdir(parents=True)

        async def told(
            story: Story = story, shop: Callable[[], SimShop] = shop, place: Path = place
        ) -> list[str]:
            return await story(World(shop(), place))

        found += run_virtual(told())
    storm = run_storm(SimShop(HOUR_S), folder / "storm", 1, with_relay=True)
    if storm.in_hour["o0"] > 20:
        found.append(f"{storm.in_hour['o0']} requests in an hour")
    return found
