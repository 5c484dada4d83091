"""Counts the local key pool now and then, so that rules can say `stock(card-10) < 5`.

A count is a fact from outside: it is logged like any other entry, with numbers only, and only when
it differs from what the engine knows. Keys themselves never come near.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from monitor.model.errors import CapacityError, StorageError
from monitor.model.records import StockCounted
from monitor.ports import Clock

log = logging.getLogger("monitor.stock")

EVERY_S = 60.0
SKUS_MAX = 1_000


class Submitter(Protocol):
    """The loop's entrance."""

    async def submit(self, entries: Sequence[StockCounted]) -> tuple[str, ...]:
        """Log and fold."""
        ...


class StockTaker:
    """Compares the pool with what is `known` of it, for as long as `run` runs."""

    def __init__(
        self,
        count: Callable[[], Awaitable[dict[str, int]]],
        known: Callable[[], Mapping[str, int]],
        loop: Submitter,
        clock: Clock,
        *,
        every_s: float = EVERY_S,
    ) -> None:
        self._count = count
        self._known = known
        self._loop = loop
        self._clock = clock
        self._every_s = every_s
        self._has_failed = False

    async def run(self) -> None:
        """Count for ever; a pool that cannot be read keeps its last count."""
        while True:
            await self.take()
            await asyncio.sleep(self._every_s)

    async def take(self) -> bool:
        """Count once; whether something changed. The first failure in a row is logged."""
        try:
            found = await self._count()
            # Of too many the first by name, so that a look later means the same ones.
            counts = {sku: found[sku] for sku in sorted(found)[:SKUS_MAX]}
            if counts == self._known():
                self._has_failed = False
                return False
            await self._loop.submit((StockCounted(counts, self._clock.now_ms()),))
        except (StorageError, CapacityError) as error:
            if not self._has_failed:
                log.warning("stock_not_counted", extra={"fields": {"error": str(error)}})
            self._has_failed = True
            return False
        self._has_failed = False
        return True
