"""A whole runtime in virtual time: real loop, real outbox worker, in-memory store, scripted outside."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from monitor.adapters.storage.memory import MemoryStore, _Durable
from monitor.core.engine import Engine
from monitor.model.effects import Effect
from monitor.model.errors import StorageError
from monitor.model.events import OrderEvent
from monitor.model.records import Answer, Breached, Entry, Record, TierReached
from monitor.model.rules import RuleSet
from monitor.model.settings import ReceiverSettings, Settings
from monitor.model.times import UnixMs
from monitor.ports import Checkpoint, Lease, OrderRow, StoredSegment
from monitor.runtime.found import decode_segment
from monitor.runtime.loop import Loop
from monitor.runtime.outbox_worker import OutboxWorker
from monitor.runtime.supervisor import Supervisor
from monitor.sim.virtual_loop import START_MS, VirtualClock
from monitor.testing.scenario import Happening
from tests.property.engine_world import answer_to

Outside = Callable[[Effect], Awaitable[Answer]]


class Performer:
    """Performs effects as the test says; remembers each with the second it began."""

    def __init__(self, outside: Outside | None = None) -> None:
        self.outside = outside
        self.begun: list[tuple[float, Effect]] = []

    async def perform(self, effect: Effect) -> Answer:
        self.begun.append((asyncio.get_running_loop().time(), effect))
        if self.outside is None:
            return answer_to(effect, 0, now_ms())
        return await self.outside(effect)


class FaultyStore(MemoryStore):
    """A store that can refuse to read, as a damaged file does, or to commit, as a full disk does."""

    reading: StorageError | None = None
    committing: StorageError | None = None
    writing: StorageError | None = None  # every write, as on a full disk

    def _writable(self) -> _Durable:
        if self.writing is not None:
            raise self.writing
        return super()._writable()

    async def commit(self, lease: Lease, checkpoint: Checkpoint) -> int:
        if self.committing is not None:
            raise self.committing
        return await super().commit(lease, checkpoint)

    async def lookup(self, order_ids: Sequence[str]) -> dict[str, OrderRow]:
        self._refuse()
        return await super().lookup(order_ids)

    async def read(self, after: int, max_bytes: int = 8_000_000) -> list[StoredSegment]:
        self._refuse()
        return await super().read(after, max_bytes)

    def _refuse(self) -> None:
        error, self.reading = self.reading, None
        if error is not None:
            raise error


class Service:
    """One process: `start`, `post`, `stop`; `crash` leaves only what the store holds."""

    def __init__(
        self,
        store: FaultyStore | None = None,
        *,
        settings: Settings | None = None,
        rules: RuleSet | None = None,
        performer: Performer | None = None,
        owner: str = "me",
        clock: VirtualClock | None = None,
    ) -> None:
        self.store = store or FaultyStore()
        self.engine = Engine(settings or Settings(), rules or RuleSet())
        self.supervisor = Supervisor()
        self.performer = performer or Performer()
        self.clock = clock = clock or VirtualClock()
        self.loop = Loop(self.store, clock, self.engine, owner=owner, on_effects=self._nudge)
        self.worker = OutboxWorker(self.store, self.loop, self.performer, clock, self.supervisor)
        self._arguments = {
            "settings": settings,
            "rules": rules,
            "performer": performer,
            "clock": clock,
        }

    def _nudge(self, cancelled: Sequence[str]) -> None:
        self.worker.nudge(cancelled)

    async def start(self) -> Service:
        await self.loop.start(self.supervisor)
        await self.worker.start()
        return self

    async def post(self, *given: Happening | Entry) -> tuple[str, ...]:
        return await self.loop.submit(
            tuple(one.event(now_ms()) if isinstance(one, Happening) else one for one in given)
        )

    async def stop(self) -> None:
        await self.worker.stop()
        await self.loop.stop()
        await self.supervisor.stop()

    async def crash(self) -> Service:
        """The process is gone at once; a new one finds what was durable, not yet started."""
        durable = FaultyStore()
        durable._durable = self.store.clone_durable()._durable
        await self.supervisor.stop()
        return Service(durable, **self._arguments)  # type: ignore[arg-type]  # as they came

    def leap(self, span_ms: int) -> None:
        """The wall clock jumps on; no timer runs out."""
        self.clock.start_ms = UnixMs(self.clock.start_ms + span_ms)

    async def log(self) -> list[Record]:
        return [record for stored in await self.store.read(0) for record in decode_segment(stored)]


def now_ms() -> int:
    return VirtualClock().now_ms()


def at(seconds: float) -> int:
    """Unix milliseconds of a second of the run."""
    return START_MS + round(seconds * 1000)


REFUSED = StorageError("the disk is full")
TOLD = Settings(receivers=(ReceiverSettings("ops", ("webhook/0",)),), default_receiver="ops")


def event(order_id: str, kind: str = "order.paid", event_id: str = "") -> OrderEvent:
    return OrderEvent(kind, order_id, "shop", event_id or kind, now_ms(), now_ms())


def decisions(records: Sequence[Record], kind: type[Breached | TierReached]) -> Counter[str]:
    return Counter(one.order_id for one in records if isinstance(one, kind))
