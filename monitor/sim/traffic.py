"""Buyers and the shop's own delivery: what happens in the shop, told as events.

Everything random comes from one seeded generator, everything timed from the event loop, so the
same code runs against real sockets in the demo and on virtual time in tests.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from monitor.model.times import format_rfc3339
from monitor.ports import Clock
from monitor.sim.world import CURRENCY, PRICE_MINOR, RARE_SKU, SKU, Shop, ShopOrder

Emit = Callable[[list[dict[str, Any]]], Awaitable[None]]

RARE_EVERY = 17  # one order in so many asks for what only a person can deliver


class Pace(msgspec.Struct, frozen=True):
    """How fast a shop is, in seconds; the default is the demo's, where a minute is a second.

    A hanging channel is asked again every `retry_own_s`; a buyer who waits for `refund_after_s`
    wants the money back with a chance of `refund_share`.
    """

    own_delay_median_s: float = 0.35
    own_delay_spread: float = 0.35
    beat_s: float = 1.0
    retry_own_s: float = 0.5
    refund_after_s: float = 0.0
    refund_share: float = 0.0


DEMO_PACE = Pace()


class Traffic:
    """Runs the shop for a while at a steady rate and emits its events."""

    def __init__(
        self,
        shop: Shop,
        clock: Clock,
        chance: random.Random,
        emit: Emit,
        *,
        orders_per_s: float,
        pace: Pace = DEMO_PACE,
        source: str = "shop",
        prefix: str = "D",
    ) -> None:
        self.shop = shop
        self._pace = pace
        self._source = source
        self._prefix = prefix
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
            await asyncio.sleep(self._pace.beat_s)

    async def _sell_one(self) -> None:
        self._count += 1
        order_id = f"{self._prefix}{self._count:05d}"
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
        pace = self._pace
        delay_s = pace.own_delay_median_s * self._chance.lognormvariate(0.0, pace.own_delay_spread)
        wants_refund = self._chance.random() < pace.refund_share
        await asyncio.sleep(delay_s)
        waited_s = delay_s
        while not self.shop.deliver_own(order.order_id, self._clock.now_ms()):
            if order.is_over:
                return
            if (
                wants_refund
                and waited_s >= pace.refund_after_s
                and self.shop.refund(order.order_id)
            ):
                await self._tell([self._event("order.refunded", order)])
                return
            await asyncio.sleep(pace.retry_own_s)
            waited_s += pace.retry_own_s
        await self.say_delivered(order)

    async def _tell(self, events: list[dict[str, Any]]) -> None:
        self.events += len(events)
        await self._emit(events)

    def _heartbeat(self) -> dict[str, Any]:
        now_ms = self._clock.now_ms()
        return {
            "type": "source.heartbeat",
            "id": f"beat/{self._source}/{now_ms}",
            "source": self._source,
            "time": format_rfc3339(now_ms),
        }

    def _event(self, kind: str, order: ShopOrder) -> dict[str, Any]:
        return {
            "type": kind,
            "id": f"{order.order_id}/{kind}",
            "source": self._source,
            "order_id": order.order_id,
            "time": format_rfc3339(self._clock.now_ms()),
            "channel": order.channel,
            "sku": order.sku,
            "amount_minor": PRICE_MINOR,
            "currency": CURRENCY,
        }
