"""The demo's play in virtual time, with the real runtime, and with crashes at any instant.

    buyers ─► courier ─► Service (engine, loop, outbox worker, store) ─► WorldPerformer ─► shop …
                  ▲            │ kill, restart on what the disk held          │
                  └────────────┴────────── goods taken, told as events ◄──────┘

Everything random comes from the seed, everything timed from the virtual loop: the same seed gives
the same log, byte for byte.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

import msgspec

from monitor.adapters.storage.memory import MemoryStore
from monitor.core.engine import Engine
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings
from monitor.runtime.loop import Loop
from monitor.runtime.outbox_worker import OutboxWorker
from monitor.sim.courier import Courier
from monitor.sim.goods import Goods
from monitor.sim.performer import Network, WorldPerformer
from monitor.sim.service import Parts, Service
from monitor.sim.stage import FAILING, ORDERS_PER_S, Play, pool_keys
from monitor.sim.story import Outcome, Story
from monitor.sim.traffic import Traffic
from monitor.sim.virtual_loop import VirtualClock
from monitor.sim.world import Chat, Shop, Supplier

QUIET_WITHIN_S = 600.0
PATIENCE_S = 300.0  # an order that is stuck for so long will stay so
DOWN_MAX_S = 1.5
CONNECTIONS = 3


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What is played. Times are seconds since the curtain; other classes plant a fault.

    `heals_at_s`: the failed channel delivers again; what it then delivers itself must not be
    delivered by the fallback as well. `second_outage_s`: from when to when the channel that is used
    then fails.
    """

    seed: int
    settings: Settings
    rules: RuleSet
    seconds: float = 20.0
    crashes_s: tuple[float, ...] = ()
    heals_at_s: float | None = None
    second_outage_s: tuple[float, float] | None = None
    network: Network = Network()
    performer: type[WorldPerformer] = WorldPerformer
    worker: type[OutboxWorker] = OutboxWorker
    loop: type[Loop] = Loop
    store: type[MemoryStore] = MemoryStore
    shop: type[Shop] = Shop
    goods: type[Goods] = Goods


class Ending(msgspec.Struct, frozen=True, eq=False):
    """What is left when everything is quiet and the service was stopped in order."""

    outcome: Outcome
    log: tuple[bytes, ...]  # bodies of all segments
    engine: Engine
    store: MemoryStore
    performer: WorldPerformer
    supplier: Supplier
    acknowledged: tuple[dict[str, Any], ...]
    lines: tuple[str, ...]


class Theatre:
    """One performance; to be run on a virtual loop."""

    def __init__(self, script: Script) -> None:
        self._script = script
        clock = VirtualClock()
        supplier = self._supplier = Supplier(_chance("supplier", script))
        shop, chat = script.shop(), Chat()
        goods = script.goods(pool_keys(script.seed))
        self._performer = script.performer(
            shop=shop,
            supplier=supplier,
            chat=chat,
            goods=goods,
            clock=clock,
            chance=_chance("network", script),
            network=script.network,
        )
        self._parts = Parts(
            clock=clock,
            settings=script.settings,
            rules=script.rules,
            performer=self._performer,
            chance=_chance("disk", script),
            worker=script.worker,
            loop=script.loop,
        )
        self._chance = _chance("crashes", script)
        self._service = Service(script.store(), self._parts)
        self._courier = Courier(self._post)
        self._lines: list[str] = []
        self._story = Story(self._service.engine, shop, supplier, chat, self._lines.append)
        self._traffic = Traffic(
            shop, clock, _chance("buyers", script), self._courier.emit, orders_per_s=ORDERS_PER_S
        )
        self._play = Play(
            self._story,
            self._traffic,
            shop,
            clock,
            self._performer.handed_over,
            seconds=script.seconds,
        )

    async def run(self) -> Ending:
        """Play it, with every crash of the script, until nothing is under way any more."""
        loop = asyncio.get_running_loop()
        self._plan_outages(loop)
        couriers = [loop.create_task(self._courier.run()) for _ in range(CONNECTIONS)]
        self._starting = loop.create_task(self._service.start())
        crashing = loop.create_task(self._crash())
        outcome = await self._play.perform(self._until_quiet(crashing))
        await self._service.stop()
        for courier in couriers:
            courier.cancel()
        segments = await self._service.store.read(0, max_bytes=1 << 40)
        return Ending(
            outcome=outcome,
            log=tuple(stored.segment.body for stored in segments),
            engine=self._service.engine,
            store=self._service.store,
            performer=self._performer,
            supplier=self._supplier,
            acknowledged=tuple(self._courier.acknowledged),
            lines=tuple(self._lines),
        )

    def _plan_outages(self, loop: asyncio.AbstractEventLoop) -> None:
        broken = self._performer.shop.broken
        if self._script.heals_at_s is not None:
            loop.call_later(self._script.heals_at_s, broken.discard, FAILING)

        def fail_and_heal(after_s: float) -> None:
            channel = self._performer.shop.active_channel()
            broken.add(channel)
            loop.call_later(after_s, broken.discard, channel)

        if self._script.second_outage_s is not None:
            start_s, end_s = self._script.second_outage_s
            loop.call_later(start_s, fail_and_heal, end_s - start_s)

    async def _post(self, events: list[dict[str, Any]]) -> None:
        await self._service.ingest(events)

    async def _crash(self) -> None:
        """Kill the service at each instant of the script, wherever it is, and start another."""
        loop = asyncio.get_running_loop()
        for at_s in self._script.crashes_s:
            await asyncio.sleep(max(0.0, at_s - loop.time()))
            self._starting.cancel()
            left = await self._service.kill()
            await asyncio.sleep(self._chance.uniform(0.0, DOWN_MAX_S))
            self._service = Service(left, self._parts)
            self._story.engine = self._service.engine
            self._starting = loop.create_task(self._service.start())

    async def _until_quiet(self, crashing: asyncio.Task[None]) -> None:
        """Wait until no effect is left to perform and no event to send; bounded."""
        await crashing
        await self._starting
        loop = asyncio.get_running_loop()
        end = loop.time() + QUIET_WITHIN_S
        patient_until = loop.time() + PATIENCE_S
        while loop.time() < end:
            await asyncio.sleep(1.0)
            failure = self._service.supervisor.failure
            if failure is not None:
                raise failure
            await self._courier.flushed()
            await self._performer.settled()
            has_stuck = bool(self._story.stuck()) and loop.time() < patient_until
            is_busy = has_stuck or self._is_anything_open()
            if not is_busy and not await self._service.store.depth():
                return

    def _is_anything_open(self) -> bool:
        has_open_case = any(
            case.wake_ms is not None for case in self._service.engine.desk.cases.values()
        )
        return has_open_case or bool(self._performer.handed_over)


def crash_instants(seed: int, from_s: float, to_s: float, count: int) -> tuple[float, ...]:
    """Random instants of a play, in order."""
    chance = random.Random(f"instants {seed}")  # noqa: S311 - repeatable, not secret
    return tuple(sorted(chance.uniform(from_s, to_s) for _ in range(count)))


def _chance(what: str, script: Script) -> random.Random:
    return random.Random(f"{what} {script.seed}")  # noqa: S311 - repeatable, not secret
