"""The town of a trial: two storefronts, three channels, three suppliers, a chat, and their post.

    storefronts ─► couriers ─► POST /v1/events ─► the service ─► shop 9001, suppliers 9002, chat 9003
         ▲                                                             │
         └───────────────── goods taken, told as events ◄──────────────┘

Everybody outside is an ordinary HTTP server or client on the virtual network. The suppliers differ
in what can be known of a purchase: one can be asked, one honours our key, one does neither.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from monitor.config.load import Loaded, load
from monitor.config.rules_file import load_rules
from monitor.model.errors import InputError
from monitor.model.ids import derived_id
from monitor.model.rules import RuleSet
from monitor.model.times import SECOND_MS
from monitor.sim.courier import Courier
from monitor.sim.loopback import Loopback
from monitor.sim.post import post
from monitor.sim.traffic import Pace, Traffic
from monitor.sim.virtual_loop import VirtualClock
from monitor.sim.wire import Address
from monitor.sim.world import Chat, Shop, Supplier

INGEST: Address = ("127.0.0.1", 8080)
SHOP: Address = ("127.0.0.1", 9001)
SUPPLY: Address = ("127.0.0.1", 9002)
CHAT: Address = ("127.0.0.1", 9003)
STOREFRONTS = ("east", "west")
POOL_KEYS = 500
POST_TIMEOUT_S = 10.0
CONNECTIONS = 3
PROMISE_S = 180.0
BREAKER_EVERY_MS = 30 * SECOND_MS
PACE = Pace(
    own_delay_median_s=25.0,
    own_delay_spread=0.6,
    beat_s=240.0,
    retry_own_s=20.0,
    refund_after_s=120.0,
    refund_share=0.15,
)

CONFIG = """
language: en
timezone: UTC
listen: 127.0.0.1:8080
data_dir: {folder}/data
disk_reserve_mib: 0
promise: {{default: 3m}}
sources: [{{name: east, heartbeat: 5m}}, {{name: west, heartbeat: 5m}}]
channels:
  - {{name: A, kind: external}}
  - {{name: B, kind: external}}
  - {{name: C, kind: external}}
  - name: supplier
    kind: http
    capability: queryable
    settle: 1m
    submit: {{method: POST, url: "http://127.0.0.1:9002/supplier/buy",
             json: {{ref: "{{{{ attempt_ref }}}}", sku: "{{{{ sku }}}}"}}, timeout: 10s}}
    query: {{method: GET, url: "http://127.0.0.1:9002/supplier/orders/{{{{ attempt_ref }}}}"}}
    answer: &answer
      delivered: {{when: {{status: delivered}}, goods: keys, supplier_ref: id}}
      not_found: {{when: {{http: 404, status: not_found}}}}
      rejected: {{when: {{status: rejected}}, code: code}}
    errors: {{out_of_stock: {{retry: other, blame: order}}}}
  - name: reseller
    kind: http
    capability: idempotent
    settle: 1m
    submit: {{method: POST, url: "http://127.0.0.1:9002/reseller/buy",
             json: {{ref: "{{{{ attempt_ref }}}}", sku: "{{{{ sku }}}}"}}, timeout: 10s}}
    answer: *answer
    errors: {{out_of_stock: {{retry: other, blame: order}}}}
  - name: wholesale
    kind: http
    capability: opaque
    settle: 1m
    submit: {{method: POST, url: "http://127.0.0.1:9002/wholesale/buy",
             json: {{ref: "{{{{ attempt_ref }}}}", sku: "{{{{ sku }}}}"}}, timeout: 10s}}
    answer: *answer
    errors: {{out_of_stock: {{retry: other, blame: order}}}}
  - {{name: pool, kind: stock}}
  - {{name: staff, kind: manual}}
failover:
  mode: enforce
  webhook: {{url: "http://127.0.0.1:9001/shop/switch", secret_file: {folder}/secret}}
fallback: {{mode: enforce, after: 3m, order: [supplier, reseller, wholesale, pool, staff],
           max_per_hour: {max_per_hour}, max_value_per_day_minor: {max_value_per_day}}}
shop: {{claim_url: "http://127.0.0.1:9001/shop/claim",
       deliver_url: "http://127.0.0.1:9001/shop/deliver",
       release_url: "http://127.0.0.1:9001/shop/release"}}
webhooks:
  - {{url: "http://127.0.0.1:9003/shop/events", types: ["alert.*"], secret_file: {folder}/secret}}
notify:
  route: {{receiver: ops}}
  receivers: [{{name: ops, dingtalk: [{{url: "http://127.0.0.1:9003/chat/robot"}}]}}]
"""

RULES = """
groups:
  - name: delivery
    interval: 1m
    rules:
      - alert: Delayed
        expr: delayed_ratio[10m:20:6h] > 2%
        resolve_when: delayed_ratio[10m:20:6h] < 1%
        by: [channel]
        annotations: {summary: "{{ count }} of {{ total }} orders on {{ channel }} are late"}
      - alert: Waiting
        expr: oldest_age > 4m
        annotations: {summary: "An order has been waiting for {{ age }}"}
      - alert: SourceSilent
        expr: source_silent > 0
        by: [source]
        annotations: {summary: "Source {{ source }} is silent"}
"""


class Caps:
    """What the fallback may spend in a trial; tight enough to be reached in a bad hour."""

    per_hour = 12
    value_per_day_minor = 60_000


def configured(folder: Path) -> tuple[Loaded, RuleSet]:
    """Configuration and rules of a trial, read by the real readers."""
    (folder / "secret").write_text("whsec_c2ltdWxhdGVkIHNlY3JldCBvZiBhIHRyaWFs\n")
    (folder / "secret").chmod(0o600)
    config, rules = folder / "monitor.yaml", folder / "rules.yaml"
    config.write_text(
        CONFIG.format(
            folder=folder,
            max_per_hour=Caps.per_hour,
            max_value_per_day=Caps.value_per_day_minor,
        )
    )
    rules.write_text(RULES)
    loaded = load(config, environ={})
    # With an order a minute a look every five seconds sees the same again, for a third of the time.
    settings = msgspec.structs.replace(loaded.settings, breaker_every_ms=BREAKER_EVERY_MS)
    return msgspec.structs.replace(loaded, settings=settings), load_rules([rules])


class Town:
    """Everybody outside the service; `clock` is right, whatever the service believes."""

    def __init__(self, seed: int, orders_per_minute: float) -> None:
        self.clock = VirtualClock()
        self.shop, self.chat = Shop(), Chat()
        self.suppliers = {
            "supplier": _supplier(seed, "supplier", refused_share=0.35),
            "reseller": _supplier(seed, "reseller", refused_share=0.35, is_idempotent=True),
            "wholesale": _supplier(seed, "wholesale", refused_share=0.3),
        }
        self.world = Loopback(
            self.shop, self.suppliers["supplier"], self.chat, self.clock, others=self.suppliers
        )
        self.courier = Courier(self._post, retry_s_max=5.0)
        self.refused: list[str] = []  # events that the service called wrong
        self.pool_keys = [derived_id("pool", str(seed), str(one)) for one in range(POOL_KEYS)]
        self._storefronts = [
            Traffic(
                self.shop,
                self.clock,
                random.Random(f"{name} {seed}"),  # noqa: S311 - repeatable, not secret
                self.courier.emit,
                orders_per_s=orders_per_minute / 60.0 / len(STOREFRONTS),
                pace=PACE,
                source=name,
                prefix=name[0].upper(),
            )
            for name in STOREFRONTS
        ]
        self._told: set[str] = set()
        self._session: aiohttp.ClientSession | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Open every door and send the couriers on their way."""
        await self.world.start([SHOP[1], SUPPLY[1], CHAT[1]])
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True),
            timeout=aiohttp.ClientTimeout(total=POST_TIMEOUT_S),
        )
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self.courier.run()) for _ in range(CONNECTIONS)]
        self._tasks.append(loop.create_task(self._tell_deliveries()))

    async def trade(self, seconds: float) -> None:
        """Sell for a while; deliveries go on in the background."""
        await asyncio.gather(*(one.sell(seconds) for one in self._storefronts))

    async def close(self) -> None:
        """Say nothing more."""
        for one in self._storefronts:
            await one.drain()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        assert self._session is not None
        await self._session.close()
        await self.world.stop()

    async def _tell_deliveries(self) -> None:
        """Tell of goods that the shop took, as a shop does."""
        while True:
            await self.world.news.wait()
            self.world.news.clear()
            while self.world.delivered:
                order_id, takeover_id = self.world.delivered.pop(0)
                if order_id in self._told:  # a hand-over that was repeated
                    continue
                self._told.add(order_id)
                order = self.shop.orders[order_id]
                teller = self._storefronts[order_id[0] == "W"]
                await teller.say_delivered(order, takeover_id)

    async def _post(self, events: list[dict[str, Any]]) -> None:
        """Send events; what the service calls wrong goes into the books."""
        assert self._session is not None
        try:
            await post(self._session, INGEST, events)
        except InputError as error:
            self.refused.append(str(error))


def _supplier(
    seed: int, name: str, *, refused_share: float, is_idempotent: bool = False
) -> Supplier:
    chance = random.Random(f"{name} {seed}")  # noqa: S311 - repeatable, not secret
    return Supplier(
        chance, 0.0, name=name, is_idempotent=is_idempotent, refused_share=refused_share
    )
