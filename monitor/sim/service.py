"""The service without its sockets: the real engine, loop, outbox worker and housekeeper.

One object is one process. `kill` is `kill -9`: nothing is finished, nothing is written any more,
and whoever waited for an answer gets a broken connection. What the disk held is all that is left.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import msgspec

from monitor.adapters.storage.memory import MemoryStore
from monitor.core.engine import Engine
from monitor.model.errors import StorageError, Transient
from monitor.model.events import OrderEvent
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings
from monitor.model.times import from_datetime, parse_rfc3339
from monitor.ports import Clock, Performer, Store
from monitor.runtime.housekeeping import Housekeeper
from monitor.runtime.loop import Loop
from monitor.runtime.outbox_worker import OutboxWorker
from monitor.runtime.supervisor import Supervisor
from monitor.sim.slow_disk import SlowDisk


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What every life of the service has in common; other classes are put in to plant a fault."""

    clock: Clock
    settings: Settings
    rules: RuleSet
    performer: Performer
    chance: random.Random
    worker: type[OutboxWorker] = OutboxWorker
    loop: type[Loop] = Loop


class Service:
    """One life of the monitor on a store."""

    def __init__(self, store: MemoryStore, parts: Parts) -> None:
        self.store = store
        self.engine = Engine(parts.settings, parts.rules)
        self.supervisor = Supervisor()
        self._parts = parts
        self._disk: Store = SlowDisk(store, parts.chance)
        self._loop = parts.loop(
            self._disk, parts.clock, self.engine, owner="sim", on_effects=self._nudge
        )
        self._worker = parts.worker(
            self._disk, self._loop, parts.performer, parts.clock, self.supervisor
        )
        self._callers: dict[int, asyncio.Task[tuple[str, ...]]] = {}
        self._calls = 0
        self._is_dead = False

    async def start(self) -> None:
        """Rebuild the state and begin to work."""
        await self._loop.start(self.supervisor)
        await self._worker.start()
        keeper = Housekeeper(self._disk, self._loop, self._parts.clock, self._parts.settings)
        self.supervisor.spawn("housekeeping", keeper.run())

    async def ingest(self, events: list[dict[str, Any]]) -> None:
        """Take events as the HTTP edge would.

        Raises: StorageError before the start is over, Transient when the process dies meanwhile.
        """
        if self._is_dead or not self._loop.is_ready:
            raise StorageError("not ready")
        received_ms = self._parts.clock.now_ms()
        entries = [order_event(event, received_ms) for event in events]
        asyncio_loop = asyncio.get_running_loop()
        self._calls += 1
        number = self._calls
        call = asyncio_loop.create_task(self._loop.submit(entries), name=f"call {number}")
        self._callers[number] = call
        try:
            await asyncio.wait([call])
        finally:
            del self._callers[number]
        if call.cancelled():
            raise Transient("connection reset")
        call.result()

    async def kill(self) -> MemoryStore:
        """Die at once and return what a new process finds on the disk."""
        self._is_dead = True
        left = self.store.clone_durable()
        for call in self._callers.values():
            call.cancel()
        await self.supervisor.stop()
        return left

    async def stop(self) -> None:
        """Stop in order: the last turn is finished and a snapshot written."""
        await self._loop.stop()
        await self.supervisor.stop()

    def _nudge(self, cancelled: Sequence[str]) -> None:
        self._worker.nudge(cancelled)


def order_event(event: dict[str, Any], received_ms: int) -> OrderEvent:
    """The event of `sim/traffic` as the edge would decode it."""
    extra = event.get("data", {})
    return OrderEvent(
        type=event["type"],
        order_id=event.get("order_id", ""),
        source=event["source"],
        event_id=event["id"],
        time_ms=from_datetime(parse_rfc3339(event["time"])),
        received_ms=received_ms,
        takeover_id=extra.get("takeover_id"),
        channel=event.get("channel"),
        sku=event.get("sku"),
        amount_minor=event.get("amount_minor"),
        currency=event.get("currency"),
    )
