"""The stage of the demo: configuration, rules and timeline, on real sockets or in virtual time.

One minute in a shop is one second here: the promise is 3 s instead of 3 min, and every other limit
shrinks alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec

from monitor.model.ids import derived_id
from monitor.model.settings import Settings
from monitor.ports import Clock
from monitor.sim.story import Outcome, Story
from monitor.sim.traffic import Traffic
from monitor.sim.world import Shop

ORDERS_PER_S = 8.0
POOL_KEYS = 40
LOOK_EVERY_S = 0.1
RESCUE_WITHIN_S = 20.0
OUTAGE_AFTER_SHARE = 0.25  # of the time in which the shop sells
FAILING = "A"

CONFIG = """
language: en
timezone: UTC
listen: {listen}
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


def configuration(world_url: str, data_dir: str, listen: str = "127.0.0.1:0") -> str:
    """Write the `monitor.yaml` of the demo for a world at a URL."""
    return CONFIG.format(world=world_url, data_dir=data_dir, listen=listen)


def shrunk(settings: Settings) -> Settings:
    """Shrink what cannot be configured on purpose: a real shop never needs it."""
    return msgspec.structs.replace(
        settings,
        slow_unlearned_ms=4_000,  # what a shop with a p95 of 1.3 s would have learned
        slow_floor_ms=500,
        breaker_every_ms=500,
        health_anchors=((1_000, 0.0), (5_000, 0.5), (30_000, 1.0)),
    )


def pool_keys(seed: int) -> list[str]:
    """The keys in the local pool."""
    return [derived_id("pool", str(seed), str(number)) for number in range(POOL_KEYS)]


class Play:
    """One performance: the shop sells, a channel fails, everything is watched until it is well.

    `handed_over` holds (order id, takeover id) of goods the shop took from the fallback; the play
    empties it and tells the monitor, as the shop would.
    """

    def __init__(
        self,
        story: Story,
        traffic: Traffic,
        shop: Shop,
        clock: Clock,
        handed_over: list[tuple[str, str]],
        *,
        seconds: float,
    ) -> None:
        self.story = story
        self._traffic = traffic
        self._shop = shop
        self._clock = clock
        self._handed_over = handed_over
        self._seconds = seconds

    async def perform(self, until_quiet: Coroutine[Any, Any, None] | None = None) -> Outcome:
        """Run the timeline, wait for whatever else is to be waited for, and close the books."""
        before_s = self._seconds * OUTAGE_AFTER_SHARE
        await self._watch(self._traffic.sell(before_s))
        self._shop.broken.add(FAILING)
        self.story.outage(FAILING, self._clock.now_ms())
        await self._watch(self._traffic.sell(self._seconds - before_s))
        await self._watch(self._settle())
        if until_quiet is not None:
            await self._watch(until_quiet)
        await self._traffic.drain()
        return self.story.finish(self._clock.now_ms(), len(self._shop.orders), self._traffic.events)

    async def _watch(self, act: Coroutine[Any, Any, None]) -> None:
        """Look at the world again and again while something is going on."""
        acting = asyncio.get_running_loop().create_task(act)
        while not acting.done():
            while self._handed_over:
                order_id, takeover_id = self._handed_over.pop(0)
                await self._traffic.say_delivered(self._shop.orders[order_id], takeover_id)
            self.story.look(self._clock.now_ms())
            await asyncio.wait([acting], timeout=LOOK_EVERY_S)
        await acting

    async def _settle(self) -> None:
        """Wait until everything stuck is delivered or handed over; bounded."""
        loop = asyncio.get_running_loop()
        end = loop.time() + RESCUE_WITHIN_S
        while loop.time() < end and self._is_unsettled():  # noqa: ASYNC110 - the world has no events
            await asyncio.sleep(LOOK_EVERY_S)

    def _is_unsettled(self) -> bool:
        has_young = any(order.channel != FAILING for order in self._shop.waiting())
        return has_young or self.story.outcome.recovered_at is None
