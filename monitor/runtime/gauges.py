"""Tells the log what was measured outside, once per change: wallets, webhooks, stocks of shops.

    poller, probe ─► note ─► what differs from what the engine knows ─► Loop.submit

A measurement is a fact, so that a replay and a restart see what the service saw.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from monitor.model.errors import CapacityError, SourceError, StorageError
from monitor.model.records import Gauged
from monitor.ports import Clock

log = logging.getLogger("monitor.gauges")

RETRY_S = 5.0
ASK_EVERY_S = 300.0
WAITING_MAX = 3_000


class Submitter(Protocol):
    """The loop's entrance."""

    async def submit(self, entries: Sequence[Gauged]) -> tuple[str, ...]:
        """Log and fold."""
        ...


class Gauging:
    """Takes measurements at any time and tells what changed, for as long as `run` runs.

    `known`: what the engine knows of a kind and name.
    """

    def __init__(
        self, known: Callable[[str, str], int | None], loop: Submitter, clock: Clock
    ) -> None:
        self._known = known
        self._loop = loop
        self._clock = clock
        self._waiting: dict[tuple[str, str], int] = {}
        self._news = asyncio.Event()

    def note(self, kind: str, name: str, value: int) -> None:
        """Something was measured; of one thing only the latest value counts.

        While so many wait that memory would grow, new names are left out until the next look.
        """
        if (kind, name) in self._waiting or len(self._waiting) < WAITING_MAX:
            self._waiting[kind, name] = value
            self._news.set()

    async def run(self) -> None:
        """Tell for ever; what the log does not take waits for the next turn."""
        while True:
            await self._news.wait()
            self._news.clear()
            if not await self.tell():
                await asyncio.sleep(RETRY_S)
                self._news.set()

    async def tell(self) -> bool:
        """Submit what differs from what is known; whether the log took it."""
        taken, now_ms = dict(self._waiting), self._clock.now_ms()
        entries = [
            Gauged(kind, name, value, now_ms)
            for (kind, name), value in taken.items()
            if self._known(kind, name) != value
        ]
        try:
            if entries:
                await self._loop.submit(tuple(entries))
        except (StorageError, CapacityError) as error:
            log.warning("gauges_not_told", extra={"fields": {"error": str(error)}})
            return False
        for key, value in taken.items():
            if self._waiting[key] == value:  # nothing newer came meanwhile
                del self._waiting[key]
        return True


class ShopStock:
    """Counts now and then what a shop has left; a shop that cannot be read keeps its counts."""

    def __init__(self, count: Callable[[], Awaitable[dict[str, int]]], gauging: Gauging) -> None:
        self._count = count
        self._gauging = gauging

    async def run(self) -> None:
        """Count for ever. Why a shop cannot be read is said by who reads its orders."""
        while True:
            with suppress(SourceError):
                for sku, unsold in (await self._count()).items():
                    self._gauging.note("stock", sku, unsold)
            await asyncio.sleep(ASK_EVERY_S)


class Wallets:
    """Asks suppliers now and then what is left there."""

    def __init__(
        self, ask: Mapping[str, Callable[[], Awaitable[int | None]]], gauging: Gauging
    ) -> None:
        self._ask = ask
        self._gauging = gauging

    async def run(self) -> None:
        """Ask all of them, one after the other, for ever; who does not answer keeps its value."""
        while True:
            for channel, ask in self._ask.items():
                left_minor = await ask()
                if left_minor is not None:
                    self._gauging.note("wallet", channel, left_minor)
            await asyncio.sleep(ASK_EVERY_S)
