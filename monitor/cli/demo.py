"""Watch an outage, the alert, the switch and the rescue: a synthetic shop, all on loopback.

Starts the real service with its own data directory and free ports, a shop with three channels, a
supplier that sometimes loses its answers, a key pool and a chat robot. One minute in a shop is one
second here: the promise is 3 s instead of 3 min, and every other limit shrinks alike.

Examples:
  delivery-monitor demo
  delivery-monitor demo --seconds 30 --headless --json --seed 7
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from monitor.adapters.clock import SystemClock
from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.stock_pool import import_units
from monitor.adapters.telemetry.logs import configure
from monitor.app import Monitor
from monitor.cli.output import say, say_json, warn
from monitor.config.load import Loaded, load
from monitor.config.rules_file import load_rules
from monitor.model.errors import InputError
from monitor.sim.loopback import Loopback
from monitor.sim.stage import ORDERS_PER_S, RULES, Play, configuration, pool_keys, shrunk
from monitor.sim.story import Outcome, Story
from monitor.sim.traffic import Traffic
from monitor.sim.world import SKU, Chat, Shop, Supplier

SECONDS_MIN, SECONDS_DEFAULT = 20.0, 40.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--seconds", type=float, default=SECONDS_DEFAULT,
                        help=f"how long the shop sells (at least {SECONDS_MIN:.0f})")  # fmt: skip
    parser.add_argument("--seed", type=int, default=1, help="same seed, same buyers")
    parser.add_argument("--headless", action="store_true", help="do not mention the page")


def run(options: argparse.Namespace) -> int:
    """Run the story; 0 if every step of it happened."""
    if options.seconds < SECONDS_MIN:
        raise InputError(f"--seconds must be at least {SECONDS_MIN:.0f}")
    configure("WARNING" if not options.json else "ERROR")
    with tempfile.TemporaryDirectory(prefix="delivery-monitor-demo-") as folder:
        outcome = asyncio.run(Demo(options, Path(folder)).play())
    missing = outcome.missing()
    if options.json:
        say_json(outcome)
    for what in missing:
        warn(f"error: {what}; run it again with the same --seed and look at the lines above")
    return 1 if missing else 0


class Demo:
    """One performance."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self._options = options
        self._folder = folder
        self._clock = SystemClock()
        self._shop, self._chat = Shop(), Chat()
        self._supplier = Supplier(random.Random(f"supplier {options.seed}"))  # noqa: S311 - repeatable
        self._world = Loopback(self._shop, self._supplier, self._chat, self._clock)
        self._started_ms = self._clock.now_ms()

    async def play(self) -> Outcome:
        """Set the stage, run the timeline, close the books."""
        await self._world.start()
        monitor = Monitor(*self._configured())
        await self._fill_pool()
        await monitor.start()
        await monitor.wait_until_ready()
        async with aiohttp.ClientSession() as session:
            outcome = await self._perform(monitor, session)
        await monitor.stop()
        await self._world.stop()
        return outcome

    async def _perform(self, monitor: Monitor, session: aiohttp.ClientSession) -> Outcome:
        async def emit(events: list[dict[str, Any]]) -> None:
            async with session.post(f"{monitor.url}/v1/events", json=events) as answer:
                answer.raise_for_status()

        chance = random.Random(f"buyers {self._options.seed}")  # noqa: S311 - repeatable
        traffic = Traffic(self._shop, self._clock, chance, emit, orders_per_s=ORDERS_PER_S)
        story = Story(monitor.engine, self._shop, self._supplier, self._chat, self._narrate)
        if not self._options.headless:
            self._narrate(f"PAGE      {monitor.url}")
        self._narrate(f"SHOP      {ORDERS_PER_S:.0f} orders a second, all through channel A; "
                      "promise 3 s (a minute of a shop is a second here)")  # fmt: skip
        play = Play(
            story, traffic, self._shop, self._clock, self._world.delivered,
            seconds=self._options.seconds,
        )  # fmt: skip
        return await play.perform()

    def _configured(self) -> tuple[Loaded, Any]:
        config, rules = self._folder / "monitor.yaml", self._folder / "rules.yaml"
        config.write_text(configuration(self._world.url, str(self._folder / "data")))
        rules.write_text(RULES)
        loaded = load(config, environ={})
        settings = shrunk(loaded.settings)
        return msgspec.structs.replace(loaded, settings=settings), load_rules([rules])

    async def _fill_pool(self) -> None:
        (self._folder / "data").mkdir(mode=0o700)
        goods = GoodsFile(self._folder / "data")
        await goods.open()
        await import_units(goods, pool_keys(self._options.seed), SKU)
        await goods.close()

    def _narrate(self, line: str) -> None:
        if not self._options.json:
            at_s = (self._clock.now_ms() - self._started_ms) / 1000
            say(f"{at_s:6.1f} s  {line}")
