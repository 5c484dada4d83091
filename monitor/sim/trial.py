"""One trial: the whole service through hours of trade and faults, then the books are compared.

    faults and trade ──hours──► all is well again ──promise + 60 s──► is every order in good hands?
        ──until quiet──► stop in order ──► start once more ──► compare everything

Everything random comes from the seed and everything timed from the virtual loop, so a trial that
fails fails again: the same seed gives the same trace, byte for byte, under any PYTHONHASHSEED.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import random
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import msgspec

from monitor.core.engine import Engine
from monitor.model.times import HOUR_MS, SECOND_MS
from monitor.sim import faults as kinds
from monitor.sim.deployment import Deployment, MakeMonitor, Remains, whole_service
from monitor.sim.faults import Fault, FaultyDisk, forecast
from monitor.sim.memory_folder import memory_folder
from monitor.sim.town import CHAT, INGEST, PROMISE_S, SHOP, SUPPLY, Town, configured
from monitor.sim.wire import DUPLICATE, REFUSED, Wire
from monitor.sim.world import CHANNELS, SKU
from monitor.sim.world_loop import WorldLoop, run_world

ARMED_MAX = 2  # faults that wait for one address; more would never meet anybody
MERCY_S = 60.0  # beyond the promise, until every order must be in good hands
QUIET_WITHIN_S = 2 * 3_600.0
LOOK_EVERY_S = 20.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is tried. `kinds` of faults, `per_minute` of them; `make` plants a bug."""

    seed: int
    hours: float = 1.0
    kinds: tuple[str, ...] = kinds.KINDS
    faults_per_minute: float = 1.5
    orders_per_minute: float = 1.0
    make: MakeMonitor = whole_service


class Ending(msgspec.Struct, frozen=True, eq=False):
    """What is left when everything is quiet and the service was stopped in order."""

    plan: Plan
    town: Town
    engine: Engine
    state_hash: str
    remains: Remains  # what a service finds that is started once more
    unsettled: tuple[str, ...]  # orders in nobody's hands when the promise plus a minute was over
    failures: tuple[str, ...]
    lives: int
    faults: int
    struck: dict[str, int]
    chat_struck: int  # connections to the chat that met a fault

    def trace_hash(self) -> str:
        """Hash of every byte of the log and of everything the world saw."""
        trace = hashlib.sha256()
        for stored in self.remains.log:
            trace.update(b"%d %s\n" % (stored.position, stored.segment.body))
        world = self.town.world
        trace.update(repr([(one.webhook_id, one.at_ms) for one in world.heard]).encode())
        trace.update(repr(world.switches).encode())
        trace.update(repr(self.town.chat.messages).encode())
        trace.update(msgspec.json.encode(list(self.town.shop.orders.values())))
        return trace.hexdigest()


class Trial:
    """One performance; to be run on a loop of its own."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, WorldLoop)
        self._plan = plan
        self._loop = loop
        self._wire: Wire = loop.wire
        self._disk = FaultyDisk(random.Random(f"disk {plan.seed}"))  # noqa: S311 - repeatable
        self._town = Town(plan.seed, plan.orders_per_minute)
        loaded, rules = configured(folder)
        self._settings, self._rules = loaded.settings, rules
        self._service = Deployment(folder, loaded, rules, self._disk, plan.make, seed=plan.seed)
        self._faults = 0

    async def run(self) -> Ending:
        """Live through it and return what is left."""
        apsw.connection_hooks.append(self._service.open_connection)
        try:
            return await self._run()
        finally:
            apsw.connection_hooks.remove(self._service.open_connection)

    async def _run(self) -> Ending:
        town, service = self._town, self._service
        until_s = self._plan.hours * HOUR_MS / SECOND_MS
        await service.fill_pool(town.pool_keys, SKU)
        await town.open()
        await service.start()
        weather = self._loop.create_task(self._go_wrong(until_s))
        await town.trade(until_s)
        await weather
        self._heal()
        await service.settled()
        await asyncio.sleep(PROMISE_S + MERCY_S)
        unsettled = tuple(self._in_nobodys_hands())
        await self._until_quiet()
        return await self._close(unsettled)

    async def _close(self, unsettled: tuple[str, ...]) -> Ending:
        town, service = self._town, self._service
        monitor = service.monitor
        assert monitor is not None
        state_hash = (await monitor.state_hash(None)).state_hash
        await service.stop()
        engine = monitor.engine
        remains = await service.once_more()
        await town.close()
        return Ending(
            plan=self._plan,
            town=town,
            engine=engine,
            state_hash=state_hash,
            remains=remains,
            unsettled=unsettled,
            failures=tuple(service.failures),
            lives=service.lives,
            faults=self._faults,
            struck=dict(sorted(self._wire.struck.items())),
            chat_struck=self._wire.struck_at.get(CHAT, 0),
        )

    # --- faults -------------------------------------------------------------------------------------

    async def _go_wrong(self, until_s: float) -> None:
        plan = self._plan
        for fault in forecast(plan.seed, until_s, plan.kinds, plan.faults_per_minute, CHANNELS):
            await asyncio.sleep(max(0.0, fault.at_s - self._loop.time()))
            self._faults += 1
            self._begin(fault)

    def _begin(self, fault: Fault) -> None:
        match fault.kind:
            case kinds.NETWORK:
                self._arm(fault)
            case kinds.CRASH:
                is_busy = fault.what == kinds.BUSY
                self._service.crash(int(fault.number), fault.lasts_s, busy=is_busy)
            case kinds.DISK:
                self._disk.file_bytes_max = int(fault.number)
                self._later(fault, self._disk.heal)
            case kinds.PURCHASE:
                if self._wire.waiting(SUPPLY) < ARMED_MAX:
                    self._wire.arm(SUPPLY, fault.what)
            case kinds.FULL_DISK:
                self._service.set_full(is_full=True)
                self._later(fault, lambda: self._service.set_full(is_full=False))
            case kinds.SLOW_DISK:
                self._disk.is_slow = True
                self._later(fault, self._disk.heal)
            case kinds.CLOCK:
                self._service.clock.set_wrong(fault.number)
                self._later(fault, lambda: self._service.clock.set_wrong(0.0))
            case kinds.USURPER:
                self._service.usurp()
            case kinds.CHANNEL:
                self._town.shop.broken.add(fault.what)
                self._later(fault, lambda: self._town.shop.broken.discard(fault.what))
            case kinds.CHAT | kinds.SHOP | kinds.SUPPLIER:
                place = {kinds.CHAT: CHAT, kinds.SHOP: SHOP, kinds.SUPPLIER: SUPPLY}[fault.kind]
                self._wire.block(place, REFUSED)
                self._later(fault, lambda: self._wire.unblock(place))

    def _arm(self, fault: Fault) -> None:
        places = [INGEST] if fault.is_ingest else [SHOP, SUPPLY, CHAT]
        for place in places:
            # A supplier that is no party to our keys would sell twice: no network does that to TCP.
            is_fair = fault.what != DUPLICATE or place != SUPPLY
            if is_fair and self._wire.waiting(place) < ARMED_MAX:
                self._wire.arm(place, fault.what)

    def _later(self, fault: Fault, end: Callable[[], None]) -> None:
        self._loop.call_later(fault.lasts_s, end)

    def _heal(self) -> None:
        self._wire.disarm()
        self._disk.heal()
        self._service.set_full(is_full=False)
        self._service.clock.set_wrong(0.0)
        self._town.shop.broken.clear()

    # --- the end ------------------------------------------------------------------------------------

    def _in_nobodys_hands(self) -> list[str]:
        """Orders that wait though the promise is over, and that no case or refusal speaks of."""
        monitor = self._service.monitor
        if monitor is None:
            return ["the service is not up"]
        held = {case.order_id for case in monitor.engine.desk.cases.values()}
        late_ms = self._town.clock.now_ms() - (PROMISE_S + MERCY_S) * SECOND_MS
        return [
            order.order_id
            for order in self._town.shop.waiting()
            if order.paid_ms < late_ms and order.order_id not in held
        ]

    async def _until_quiet(self) -> None:
        """Wait until no case is open, no effect is left and no event on its way; bounded."""
        end_s = self._loop.time() + QUIET_WITHIN_S
        while self._loop.time() < end_s:
            await self._town.courier.flushed()
            if not await self._is_busy():
                return
            await asyncio.sleep(LOOK_EVERY_S)

    async def _is_busy(self) -> bool:
        monitor = self._service.monitor
        if monitor is None or monitor.store is None or not monitor.is_ready:
            return True
        cases = monitor.engine.desk.cases.values()
        escalated = {one.order_id for one in cases if one.state == "escalated"}
        if any(one.order_id not in escalated for one in self._town.shop.waiting()):
            return True
        if any(one.wake_ms is not None for one in cases):
            return True
        return bool(self._town.world.delivered) or bool(await monitor.store.depth())


def held(plan: Plan) -> Ending:
    """Hold a trial in virtual time and return what is left of it."""

    async def live() -> Ending:
        with tempfile.TemporaryDirectory(prefix="trial-", dir=memory_folder()) as name:
            return await Trial(plan, Path(name)).run()

    with warnings.catch_warnings(), uncollected():
        warnings.simplefilter("ignore", ResourceWarning)  # a killed process closes nothing
        return run_world(live(), seed=plan.seed, max_s=(plan.hours + 8) * 3_600.0)


@contextmanager
def uncollected() -> Iterator[None]:
    """Look for no cycles of garbage: a quarter of the time, and what hours leave fits into memory.

    What is there before is never looked through again: that alone takes longer than an hour of trade.
    Afterwards all of it is: else the sessions of killed services would end in somebody else's hands.
    """
    if not gc.isenabled():
        yield
        return
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # a killed process closes nothing
            gc.collect()
        gc.enable()
