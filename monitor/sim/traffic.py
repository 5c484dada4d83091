"""Buyers and the shop's own delivery: what happens in the shop, told as events.

Everything random comes from one seeded generator, everything timed from the event loop, so the
same code runs against real sockets in the demo and on virtual time in tests.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from monitor.model.times import format_rfc3339
from monitor.ports import Clock
from monitor.sim.world import CURRENCY, PRICE_MINOR, RARE_SKU, SKU, Shop, ShopOrder

Emit = Callable[[list[dict[str, Any]]], Awaitable[None]]

RARE_EVERY = 17  # one order in so many asks for what only a person can deliver
OWN_DELAY_MEDIAN_S = 0.35
OWN_DELAY_SPREAD = 0.35
BEAT_S = 1.0
RETRY_OWN_S = 0.5  # a hanging channel is asked again so often


class Traffic:
    """Runs the shop for a while at a steady rate and emits its events."""

    def __init__(
        self, shop: Shop, clock: Clock, chance: random.Random, emit: Emit, *, orders_per_s: float
    ) -> None:
        self.shop = shop
        self.events = 0
        self._clock = clock
        self._chance = chance
        self._emit = emit
        self._orders_per_s = orders_per_s
        self._deliveries: set[asyncio.Task[None]] = set()
        self._count = 0
        self._beating: asyncio.Task[None] | None = None

    async def sell(self, seconds: float) -> None:
        """Sell until the time is over; deliveries go on in the background."""
        loop = asyncio.get_running_loop()
        if self._beating is None:
            self._beating = loop.create_task(self._beat(), name="heartbeat")
        end = loop.time() + seconds
        while loop.time() < end:
            await asyncio.sleep(self._chance.expovariate(self._orders_per_s))
            await self._sell_one()

    async def drain(self) -> None:
        """Stop asking hanging channels and say nothing more; finished deliveries are already told."""
        tasks = [*self._deliveries, *([self._beating] if self._beating else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def say_delivered(self, order: ShopOrder, takeover_id: str | None = None) -> None:
        """Tell the monitor that an order was delivered, by us or by the fallback."""
        event = self._event("delivery.delivered", order)
        if takeover_id is not None:
            event["data"] = {"takeover_id": takeover_id}
        await self._tell([event])

    async def _beat(self) -> None:
        """Say that the shop is there, also while nobody buys."""
        while True:
            await self._tell([self._heartbeat()])
            await asyncio.sleep(BEAT_S)

    async def _sell_one(self) -> None:
        self._count += 1
        order_id = f"D{self._count:05d}"
        sku = RARE_SKU if self._count % RARE_EVERY == 0 else SKU
        order = self.shop.buy(order_id, sku, self._clock.now_ms())
        created = self._event("order.created", order)
        paid = self._event("order.paid", order)
        attempted = self._event("delivery.attempted", order)
        await self._tell([created, paid, attempted])
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._deliver(order), name=f"deliver {order_id}")
        self._deliveries.add(task)
        task.add_done_callback(self._deliveries.discard)

    async def _deliver(self, order: ShopOrder) -> None:
        delay_s = OWN_DELAY_MEDIAN_S * self._chance.lognormvariate(0.0, OWN_DELAY_SPREAD)
        await asyncio.sleep(delay_s)
        while not self.shop.deliver_own(order.order_id, self._clock.now_ms()):
            if order.deliveries:
                return
            await asyncio.sleep(RETRY_OWN_S)
        await self.say_delivered(order)

    async def _tell(self, events: list[dict[str, Any]]) -> None:
        self.events += len(events)
        await self._emit(events)

    def _heartbeat(self) -> dict[str, Any]:
        now_ms = self._clock.now_ms()
        return {
            "type": "source.heartbeat",
            "id": f"beat/{now_ms}",
            "source": "shop",
            "time": format_rfc3339(now_ms),
        }

    def _event(self, kind: str, order: ShopOrder) -> dict[str, Any]:
        return {
            "type": kind,
            "id": f"{order.order_id}/{kind}",
            "source": "shop",
            "order_id": order.order_id,
            "time": format_rfc3339(self._clock.now_ms()),
            "channel": order.channel,
            "sku": order.sku,
            "amount_minor": PRICE_MINOR,
            "currency": CURRENCY,
        }
