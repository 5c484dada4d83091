"""The whole service on a virtual machine, and what is left of it when the machine dies.

One life is one process with the real composition root: listeners, HTTP client, loop, outbox worker,
SQLite. `crash` is `kill -9` at the next touch of the outside; the next life begins on a copy of the
files as the dead one left them, without the locks and the shared memory that died with it.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from pathlib import Path

import apsw
import msgspec

from monitor.adapters.clock import SteadyClock
from monitor.adapters.goods_file import DATABASE_NAME as GOODS_NAME
from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.ids import RandomIds
from monitor.adapters.stock_pool import import_units
from monitor.adapters.storage.directory import DATABASE_NAME, LOCK_NAME
from monitor.adapters.storage.sqlite import open_sqlite
from monitor.app import Monitor
from monitor.config.load import Loaded
from monitor.core.engine import Engine
from monitor.core.rules.lookback import settings_for
from monitor.model.errors import StorageError
from monitor.model.rules import RuleSet
from monitor.model.times import SECOND_MS, UnixMs
from monitor.ports import StoredSegment
from monitor.runtime.recovery import KnownOrders, recover
from monitor.sim.machine import MACHINE, Disk, Machine
from monitor.sim.virtual_loop import VirtualClock

LOG_BYTES_MAX = 1 << 40
PAGES_MAX = 1 << 30
RESTART_S = 5.0  # what a service manager waits before it starts again what has given up
GIVES_WAY_WITHIN_S = 90.0  # three times the lease's life

MakeMonitor = Callable[[Loaded, RuleSet, VirtualClock], Monitor]


class ShiftedClock(VirtualClock):
    """A wall clock that somebody can set."""

    offset_ms = 0

    def now_ms(self) -> UnixMs:
        """See Clock."""
        return UnixMs(super().now_ms() + self.offset_ms)

    def set_wrong(self, by_s: float) -> None:
        """Jump so that it is wrong by so much."""
        self.offset_ms = round(by_s * SECOND_MS)


def whole_service(loaded: Loaded, rules: RuleSet, clock: VirtualClock) -> Monitor:
    """The service as `serve` makes it, on a machine whose wall clock is this one."""
    loop = asyncio.get_running_loop()
    steady = SteadyClock(clock.now_ms, lambda: round(loop.time() * SECOND_MS))
    return Monitor(loaded, rules, clock=steady)


class SeededIds(RandomIds):
    """Keys that are the same in every run: digests of goods are made with one, and are logged."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(f"keys {seed}")  # noqa: S311 - a simulation has no secrets

    def new_bytes(self, size: int) -> bytes:
        """See RandomIds."""
        return self._chance.randbytes(size)


class Remains(msgspec.Struct, frozen=True, eq=False):
    """What a service finds on the files: its engine rebuilt, the log, attempts with goods."""

    engine: Engine
    log: tuple[StoredSegment, ...]
    goods: frozenset[str]


class Deployment:
    """The lives of one service in a folder of its own."""

    def __init__(
        self,
        folder: Path,
        loaded: Loaded,
        rules: RuleSet,
        disk: Disk,
        make: MakeMonitor = whole_service,
        *,
        seed: int = 0,
    ) -> None:
        self._seed = seed
        self.clock = ShiftedClock()
        self.lives = 0
        self.failures: list[str] = []  # of the service itself, not of what was done to it
        self.monitor: Monitor | None = None
        self._folder = folder
        self._loaded = loaded
        self._rules = rules
        self._disk = disk
        self._make = make
        self._machine: Machine | None = None
        self._context = copy_context()
        self._reviving: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._is_full = False
        self._connections: dict[int, list[apsw.Connection]] = {}

    @property
    def data_dir(self) -> Path:
        """The files of the life that runs, or of the one that died last."""
        return self._folder / f"life-{self.lives}"

    @property
    def is_ready(self) -> bool:
        """Whether a service runs whose state is rebuilt."""
        return self.monitor is not None and self.monitor.is_ready

    async def fill_pool(self, units: list[str], sku: str) -> None:
        """Put units into the local pool before the first life."""
        self.data_dir.mkdir(mode=0o700)
        goods = GoodsFile(self.data_dir, SeededIds(self._seed))
        await goods.open()
        await import_units(goods, units, sku)
        await goods.close()

    async def start(self) -> None:
        """Begin a life on the files that are there; returns before it is ready."""
        if not self.lives:
            self._leave_to_next()
        self.lives += 1
        folder = self.data_dir
        machine = self._machine = Machine(f"life {self.lives}", self._disk)
        endpoints = msgspec.structs.replace(self._loaded.endpoints, data_dir=str(folder))
        loaded = msgspec.structs.replace(self._loaded, endpoints=endpoints)
        monitor = self.monitor = self._make(loaded, self._rules, self.clock)
        starting = machine.inside(monitor.start(), "start")
        self._watching = self._outside(self._watch(monitor, machine), "watch")
        await asyncio.wait([starting])
        if not starting.cancelled() and (error := starting.exception()) is not None:
            raise error

    def crash(self, steps: int, down_s: float, *, busy: bool) -> None:
        """Die at a touch of the outside (see `Machine`), and begin another life after a while."""
        if self._machine is not None and not self._machine.is_dead:
            self._machine.crash_after(steps, lambda: self._die(down_s), busy=busy)

    def usurp(self) -> None:
        """Take the lease as another process would that believes this one dead."""
        if self._machine is None or self._machine.is_dead or not self.is_ready:
            return
        intruder = apsw.Connection(str(self.data_dir / DATABASE_NAME))
        intruder.execute("UPDATE leases SET epoch = epoch + 1, owner = 'somebody else'")
        intruder.close()
        life = self.lives
        loop = asyncio.get_running_loop()
        loop.call_later(GIVES_WAY_WITHIN_S, self._has_given_way, life)

    def _has_given_way(self, life: int) -> None:
        if self.lives == life and self._machine is not None and not self._machine.is_dead:
            self.failures.append("it wrote on after another process had taken the lease")

    async def settled(self) -> None:
        """Return when a service is ready and no crash is planned any more."""
        if self._machine is not None:
            self._machine.spare()
        while not self.is_ready:  # noqa: ASYNC110 - the service has no event for it
            await asyncio.sleep(0.1)

    async def stop(self) -> None:
        """Stop in order, as after SIGTERM."""
        assert self.monitor is not None
        assert self._machine is not None
        if self._watching is not None:
            self._watching.cancel()
        await self._machine.inside(self.monitor.stop(), "stop")
        await self._bury(self._machine, self.lives)

    async def once_more(self) -> Remains:
        """Start and stop another life, and return what it found."""
        self._leave_to_next()
        self.lives += 1
        machine = Machine("once more", self._disk)
        return await machine.inside(self._recovered(), "once more")

    async def _recovered(self) -> Remains:
        store = await open_sqlite(self.data_dir)
        settings = settings_for(self._loaded.settings, self._rules)
        engine = Engine(settings, self._rules)
        log = await store.read(0, max_bytes=LOG_BYTES_MAX)
        await recover(store, engine, KnownOrders(), self.clock.now_ms())
        await store.close()
        vault = apsw.Connection(str(self.data_dir / GOODS_NAME))
        goods = frozenset(row[0] for row in vault.execute("SELECT attempt_ref FROM goods"))
        vault.close()
        return Remains(engine, tuple(log), goods)

    def set_full(self, *, is_full: bool) -> None:
        """Let no database grow any more, or let them grow again; SQLite says `database is full`."""
        self._is_full = is_full
        for connection in self._connections.get(id(self._machine), []):
            _limit(connection, is_full=is_full)

    def open_connection(self, connection: apsw.Connection) -> None:
        """Note a database connection of the life that opens it; a hook of apsw."""
        machine = MACHINE.get()
        if machine is not None:
            self._connections.setdefault(id(machine), []).append(connection)
            if self._is_full:
                _limit(connection, is_full=True)

    # --- dying --------------------------------------------------------------------------------------

    def _die(self, down_s: float) -> None:
        assert self._machine is not None
        machine, self.monitor = self._machine, None
        machine.kill()
        self._leave_to_next()
        self._reviving = self._outside(self._revive(machine, self.lives, down_s), "revive")

    async def _revive(self, machine: Machine, life: int, down_s: float) -> None:
        if self._watching is not None:
            self._watching.cancel()
        await self._bury(machine, life)
        await asyncio.sleep(down_s)
        await self.start()

    async def _bury(self, machine: Machine, life: int) -> None:
        """Let go of what the kernel would have taken from a dead process."""
        machine.kill()
        await machine.buried()
        for connection in self._connections.pop(id(machine), []):
            connection.close()
        folder = self._folder / f"life-{life}"
        _close_lock(folder / LOCK_NAME)
        if (self._folder / f"life-{life + 1}").exists():
            shutil.rmtree(folder)

    def _leave_to_next(self) -> None:
        """What the next life finds: the files of this instant, not lock and shared memory."""
        target = self._folder / f"life-{self.lives + 1}"
        target.mkdir(mode=0o700)
        for path in sorted(self.data_dir.iterdir()):
            if path.name != LOCK_NAME and not path.name.endswith("-shm"):
                shutil.copy(path, target / path.name)

    async def _watch(self, monitor: Monitor, machine: Machine) -> None:
        """A service that gives up is started again, as a service manager does; a bug is noted."""
        await monitor.supervisor.failed.wait()
        failure = monitor.supervisor.failure
        if not isinstance(failure, StorageError):
            self.failures.append(f"{type(failure).__name__}: {failure}")
        if not machine.is_dead:
            self._watching = None
            self._die(RESTART_S)

    def _outside(self, work: object, name: str) -> asyncio.Task[None]:
        loop = asyncio.get_running_loop()
        return loop.create_task(work, name=name, context=self._context.copy())  # type: ignore[arg-type]  # any coroutine


def _limit(connection: apsw.Connection, *, is_full: bool) -> None:
    """A limit below the size of the file means its size; a connection may be closed by now."""
    with suppress(apsw.ConnectionClosedError):
        connection.execute(f"PRAGMA max_page_count = {1 if is_full else PAGES_MAX}")


def _close_lock(path: Path) -> None:
    """Close the lock file of a dead life, whose number nobody knows any more."""
    for number in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if number.readlink() == path:
                os.close(int(number.name))
