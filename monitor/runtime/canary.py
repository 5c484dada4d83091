"""Synthetic orders for shops with little traffic: one every minute makes an outage visible in three.

A canary is an input, not an effect: each is a fresh order, so one that could not be placed is never
repeated. The shop delivers it as any other order and reports it as any other order; we only note
that it was created, so that a payment that is never confirmed can be seen. Nobody is refunded,
compensated or given a second key for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from monitor.model.errors import CapacityError, EffectError, StorageError
from monitor.model.events import EventType, OrderEvent
from monitor.model.ids import CANARY_PREFIX, CANARY_SOURCE
from monitor.ports import CanaryBuyer, Clock

log = logging.getLogger("monitor.canary")


class Submitter(Protocol):
    """The loop's entrance."""

    async def submit(self, entries: Sequence[OrderEvent]) -> tuple[str, ...]:
        """Log and fold."""
        ...


class Canaries:
    """Places one order of the test goods every `every_ms`."""

    def __init__(
        self, buyer: CanaryBuyer, loop: Submitter, clock: Clock, *, sku: str, every_ms: int
    ) -> None:
        self._buyer = buyer
        self._loop = loop
        self._clock = clock
        self._sku = sku
        self._every_ms = every_ms
        self._has_failed = False

    async def run(self) -> None:
        """Place orders for ever, at fixed points in time; a shop that refuses is asked again."""
        while True:
            now_ms = self._clock.now_ms()
            await asyncio.sleep((self._every_ms - now_ms % self._every_ms) / 1000)
            await self.place()

    async def place(self) -> bool:
        """Place one order; False if the shop did not take it. The first failure in a row is logged."""
        asked_ms = self._clock.now_ms()
        order_id = f"{CANARY_PREFIX}{asked_ms}"
        try:
            await self._buyer.buy(order_id, asked_ms)
            await self._loop.submit((self._created(order_id, asked_ms),))
        except (EffectError, StorageError, CapacityError) as error:
            if not self._has_failed:
                log.warning("canary_not_placed", extra={"fields": {"error": str(error)}})
            self._has_failed = True
            return False
        self._has_failed = False
        return True

    def _created(self, order_id: str, asked_ms: int) -> OrderEvent:
        return OrderEvent(
            type=EventType.CREATED.value,
            order_id=order_id,
            source=CANARY_SOURCE,
            event_id=order_id,
            time_ms=asked_ms,
            received_ms=self._clock.now_ms(),
            sku=self._sku,
        )
