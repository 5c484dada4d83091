"""Retention: old events and old orders leave the store, never more than the settings say."""

from __future__ import annotations

import asyncio
import logging

from monitor.model.errors import StorageError
from monitor.model.settings import Settings
from monitor.ports import Clock, Store
from monitor.runtime.loop import Loop

log = logging.getLogger("monitor.housekeeping")

EVERY_S = 3600.0


class Housekeeper:
    """Deletes what is past retention, once an hour."""

    def __init__(self, store: Store, loop: Loop, clock: Clock, settings: Settings) -> None:
        self._store = store
        self._loop = loop
        self._clock = clock
        self.settings = settings

    async def run(self) -> None:
        """Sweep for ever; a store in trouble is left alone until the next hour."""
        while True:
            try:
                await self.sweep()
            except StorageError as error:
                log.error("sweep_failed", extra={"fields": {"error": str(error)}})
            await asyncio.sleep(EVERY_S)

    async def sweep(self) -> tuple[int, int]:
        """Delete once; returns how many segments and orders went.

        Segments after the latest snapshot stay whatever their age: a restart needs them.
        """
        now_ms = self._clock.now_ms()
        segments = await self._store.trim(
            now_ms - self.settings.event_retention_ms, self._loop.snapshot_position
        )
        orders = await self._store.purge(now_ms - self.settings.order_retention_ms)
        if segments or orders:
            log.info("swept", extra={"fields": {"segments": segments, "orders": orders}})
        return segments, orders
