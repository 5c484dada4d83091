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

from monitor.adapters.channels.stock import import_units
from monitor.adapters.clock import SystemClock
from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.telemetry.logs import configure
from monitor.app import Monitor
from monitor.cli.output import say, say_json, warn
from monitor.config.load import Loaded, load
from monitor.config.rules_file import load_rules
from monitor.model.errors import InputError
from monitor.model.ids import derived_id
from monitor.sim.loopback import Loopback
from monitor.sim.story import Outcome, Story
from monitor.sim.traffic import Traffic
from monitor.sim.world import SKU, Chat, Shop, Supplier

SECONDS_MIN, SECONDS_DEFAULT = 20.0, 60.0
ORDERS_PER_S = 8.0
POOL_KEYS = 40
LOOK_EVERY_S = 0.1
RESCUE_WITHIN_S = 20.0
FAILING = "A"

CONFIG = """
language: en
timezone: UTC
listen: 127.0.0.1:0
data_dir: {data_dir}
promise: {{default: 3s}}
tiers: {{l2_after: 5s, l3_after: 30s}}
channels:
  - {{name: A, kind: external}}
  - {{name: B, kind: external}}
  - {{name: C, kind: external}}
  - name: supplier
    kind: http
    capability: queryable
    settle: 1s
    submit: {{method: POST, url: "{world}/supplier/buy",
             json: {{ref: "{{{{ attempt_ref }}}}", sku: "{{{{ sku }}}}"}}, timeout: 3s}}
    query: {{method: GET, url: "{world}/supplier/orders/{{{{ attempt_ref }}}}"}}
    answer:
      delivered: {{when: {{status: delivered}}, goods: keys, supplier_ref: id}}
      not_found: {{when: {{http: 404, status: not_found}}}}
      rejected: {{when: {{status: rejected}}, code: code}}
    errors: {{out_of_stock: {{retry: other, blame: channel}}}}
  - {{name: pool, kind: stock}}
  - {{name: staff, kind: manual}}
failover: {{mode: enforce, webhook: {{url: "{world}/shop/switch"}}}}
fallback: {{mode: enforce, after: 5s, order: [supplier, pool, staff],
           max_per_hour: 2000, max_value_per_day_minor: 100000000}}
shop: {{claim_url: "{world}/shop/claim", deliver_url: "{world}/shop/deliver",
       release_url: "{world}/shop/release"}}
webhooks: [{{url: "{world}/shop/events", types: ["takeover.*", "order.tier_changed"]}}]
notify:
  route: {{receiver: ops}}
  receivers: [{{name: ops, dingtalk: [{{url: "{world}/chat/robot"}}]}}]
"""

# The shipped rules with a minute shrunk to a second.
RULES = """
groups:
  - name: delivery
    interval: 1s
    rules:
      - alert: DelayedOver2Percent
        expr: delayed_ratio[10s:20:6m] > 2%
        keep_firing_for: 3s
        resolve_when: delayed_ratio[10s:20:6m] < 1%
        by: [channel]
        severity: warning
        annotations:
          summary: "{{ count }} of {{ total }} orders on {{ channel }} are late ({{ value }})"
      - alert: HealthIndexLow
        expr: health_index[15s] < 70
        resolve_when: health_index[15s] > 85
        severity: warning
        annotations: {summary: "Delivery health is {{ value }} of 100"}
      - alert: SourceSilent
        expr: source_silent > 0
        by: [source]
        annotations: {summary: "Source {{ source }} is silent"}
"""


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
        self._supplier = Supplier(random.Random(f"supplier {options.seed}"))
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

        chance = random.Random(f"buyers {self._options.seed}")
        traffic = Traffic(self._shop, self._clock, chance, emit, orders_per_s=ORDERS_PER_S)
        story = Story(monitor.engine, self._shop, self._supplier, self._chat, self._narrate)
        if not self._options.headless:
            self._narrate(f"PAGE      {monitor.url}")
        self._narrate(f"SHOP      {ORDERS_PER_S:.0f} orders a second, all through channel A; "
                      "promise 3 s (a minute of a shop is a second here)")  # fmt: skip
        seconds = self._options.seconds
        await self._watch(story, traffic, traffic.sell(seconds * 0.25))
        self._shop.broken.add(FAILING)
        story.outage(FAILING, self._clock.now_ms())
        await self._watch(story, traffic, traffic.sell(seconds * 0.75))
        await self._watch(story, traffic, self._settle(story))
        await traffic.drain()
        now_ms = self._clock.now_ms()
        return story.finish(now_ms, len(self._shop.orders), traffic.events)

    async def _watch(self, story: Story, traffic: Traffic, act: Any) -> None:
        """Look at the world again and again while something is going on."""
        acting = asyncio.get_running_loop().create_task(act)
        while not acting.done():
            while self._world.delivered:
                order_id, takeover_id = self._world.delivered.pop(0)
                await traffic.say_delivered(self._shop.orders[order_id], takeover_id)
            story.look(self._clock.now_ms())
            await asyncio.wait([acting], timeout=LOOK_EVERY_S)
        await acting

    async def _settle(self, story: Story) -> None:
        """Wait until everything stuck is delivered or handed over; bounded."""
        loop = asyncio.get_running_loop()
        end = loop.time() + RESCUE_WITHIN_S
        while loop.time() < end and (story.outcome.recovered_at is None or self._has_young()):
            await asyncio.sleep(LOOK_EVERY_S)

    def _has_young(self) -> bool:
        return any(order.channel != FAILING for order in self._shop.waiting())

    def _configured(self) -> tuple[Loaded, Any]:
        config, rules = self._folder / "monitor.yaml", self._folder / "rules.yaml"
        config.write_text(CONFIG.format(data_dir=self._folder / "data", world=self._world.url))
        rules.write_text(RULES)
        loaded = load(config, environ={})
        # What cannot be configured on purpose (a real shop never needs it) shrinks here.
        settings = msgspec.structs.replace(
            loaded.settings,
            slow_unlearned_ms=3_000,
            slow_floor_ms=500,
            breaker_every_ms=500,
            health_anchors=((1_000, 0.0), (5_000, 0.5), (30_000, 1.0)),
        )
        return msgspec.structs.replace(loaded, settings=settings), load_rules([rules])

    async def _fill_pool(self) -> None:
        (self._folder / "data").mkdir(mode=0o700)
        goods = GoodsFile(self._folder / "data")
        await goods.open()
        keys = [derived_id("pool", str(self._options.seed), str(one)) for one in range(POOL_KEYS)]
        await import_units(goods, keys, SKU)
        await goods.close()

    def _narrate(self, line: str) -> None:
        if not self._options.json:
            at_s = (self._clock.now_ms() - self._started_ms) / 1000
            say(f"{at_s:6.1f} s  {line}")
