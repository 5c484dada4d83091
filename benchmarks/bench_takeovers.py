"""Stuck orders delivered through the executor: how many a second, and what each costs.

The loop, the store (SQLite, synchronous FULL, group commit) and the state machine are the product's;
shop and channel are answered for at once, as fast as the outbox gives effects out. One pool of goods
has all orders, so the slots of one channel are the width of the way. Orders are paid beforehand; what
is measured begins when the first is stuck, and two thousand a second get stuck from then on.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from benchmarks import takeovers_http
from benchmarks.row import Row
from monitor.adapters.storage.sqlite import open_sqlite
from monitor.adapters.storage.sqlite_store import SqliteStore
from monitor.core.engine import Engine
from monitor.model.effects import Claim, Effect, HandOver, Query, Submit, effect_decoder
from monitor.model.events import EventType, OrderEvent
from monitor.model.records import Answer, AttemptAnswered, ClaimAnswered, HandOverAnswered
from monitor.model.rules import RuleSet
from monitor.model.settings import ChannelSettings, FallbackSettings, Settings
from monitor.model.times import MINUTE_MS, UnixMs
from monitor.runtime.loop import SNAPSHOT_EVERY_MS, Loop
from monitor.runtime.supervisor import Supervisor

GROUP = "takeovers"
ORDERS = 10_000
PER_S, CPU_MS = 1_000, 0.2
OPEN_CASES, READY_S = 100_000, 5.0
START_MS = 1_767_225_600_000
PAID_PER_MS = 2
MANY = 1_000_000_000
SETTINGS = Settings(
    channels=(ChannelSettings("pool", "stock"),),
    fallback=FallbackSettings(
        mode="enforce", after_ms=10 * MINUTE_MS, order=("pool",), max_per_hour=MANY, max_value_per_day_minor=MANY * 1_000,
        has_shop=True,
    ),
)  # fmt: skip


class Clock:
    """Stands still while the orders are made, then goes on with real time."""

    def __init__(self, start_ms: int) -> None:
        self.ms = start_ms
        self.began_s: float | None = None

    def now_ms(self) -> UnixMs:
        passed_s = 0.0 if self.began_s is None else time.perf_counter() - self.began_s
        return UnixMs(self.ms + int(passed_s * 1_000))


class Cost(msgspec.Struct, frozen=True):
    """What delivering so many orders took; the seconds are of the wall, the CPU of all threads."""

    orders: int
    delivered: int
    wall_s: float
    cpu_s: float
    turns: int


def rows(scale: float) -> Iterator[Row]:
    orders = max(200, round(ORDERS * scale))
    with tempfile.TemporaryDirectory(prefix="takeovers-") as name:
        cost = asyncio.run(_deliver(Path(name), orders))
    assert cost.delivered == cost.orders, f"{cost.delivered} of {cost.orders} were delivered"
    note = f"{cost.orders:,} orders, one pool, SQLite FULL, {cost.turns:,} group commits"
    yield Row(GROUP, "deliveries a second, state machine and storage", cost.orders / cost.wall_s,
              "/s", PER_S, "higher", note)  # fmt: skip
    yield Row(GROUP, "CPU of a delivery, state machine and storage",
              1e3 * cost.cpu_s / cost.orders, "ms", CPU_MS, "lower", note)  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="takeovers-") as name:
        yield takeovers_http.row(GROUP, Path(name), scale)
    open_cases = max(1_000, round(OPEN_CASES * scale))
    with tempfile.TemporaryDirectory(prefix="takeovers-") as name:
        ready_s, cpu_s, size_mib = asyncio.run(_restart(Path(name), open_cases))
    note = (
        f"{open_cases:,} cases, each with an effect in the outbox, {size_mib:.0f} MiB, after a kill"
    )
    yield Row(GROUP, "restart to ready, all cases and effects there once", ready_s, "s",
              READY_S, "lower", note)  # fmt: skip
    yield Row(GROUP, "CPU of that restart", cpu_s, "s", note=note)


async def _restart(folder: Path, orders: int) -> tuple[float, float, float]:
    """Open so many cases, kill the service, start another; seconds, CPU, MiB of the database."""
    clock = Clock(START_MS)
    store, supervisor = await open_sqlite(folder / "killed"), Supervisor()
    loop = Loop(store, clock, Engine(SETTINGS, RuleSet()), owner="b")
    await loop.start(supervisor)
    await _pay(loop, clock, orders)
    for wait_ms in (SETTINGS.fallback.after_ms + orders // PAID_PER_MS, MINUTE_MS):
        await _wait(loop, clock, START_MS + wait_ms)
    clock.ms += SNAPSHOT_EVERY_MS
    await loop.submit([_heartbeat(clock.ms)])
    await store.health()  # waits in line behind the commit
    before = dict(loop.engine.desk.cases)
    assert len(before) == orders, f"{len(before)} of {orders} cases were opened"
    shutil.copytree(folder / "killed", folder / "left", ignore=shutil.ignore_patterns("*-shm"))
    await loop.stop()
    await supervisor.stop()
    await store.close()
    ready_s, cpu_s = time.perf_counter(), time.process_time()
    store, supervisor = await open_sqlite(folder / "left"), Supervisor()
    loop = Loop(store, clock, Engine(SETTINGS, RuleSet()), owner="b")
    await loop.start(supervisor)
    cost = time.perf_counter() - ready_s, time.process_time() - cpu_s
    assert loop.engine.desk.cases == before, "cases were lost or changed"
    waiting = sum((await store.depth()).values())
    assert waiting == orders, f"{waiting} effects for {orders} cases"
    await loop.stop()
    await supervisor.stop()
    await store.close()
    return *cost, (folder / "left" / "monitor.db").stat().st_size / (1 << 20)


async def _deliver(folder: Path, orders: int) -> Cost:
    clock = Clock(START_MS)
    store, supervisor = await open_sqlite(folder), Supervisor()
    engine = Engine(SETTINGS, RuleSet())
    loop = Loop(store, clock, engine, owner="b")
    await loop.start(supervisor)
    await _pay(loop, clock, orders)
    await _wait(loop, clock, START_MS + SETTINGS.fallback.after_ms - MINUTE_MS)
    clock.ms = START_MS + SETTINGS.fallback.after_ms
    clock.began_s, cpu_s, turns = time.perf_counter(), time.process_time(), loop.turns
    ended = 0
    while ended < orders:
        ended += await _turn(loop, store, clock)
    cost = Cost(
        orders,
        sum(case.state == "delivered" for case in engine.desk.cases.values()),
        time.perf_counter() - clock.began_s,
        time.process_time() - cpu_s,
        loop.turns - turns,
    )
    await loop.stop()
    await supervisor.stop()
    await store.close()
    return cost


async def _pay(loop: Loop, clock: Clock, orders: int) -> None:
    events = [
        OrderEvent(
            EventType.PAID, f"o{number}", "shop", f"e{number}", START_MS + number // PAID_PER_MS,
            START_MS + number // PAID_PER_MS, channel="auto", sku="steam-50", amount_minor=4_800,
            currency="CNY",
        )
        for number in range(orders)
    ]  # fmt: skip
    for start in range(0, orders, 1_000):
        batch = events[start : start + 1_000]
        clock.ms = batch[-1].received_ms
        await loop.submit(batch)


async def _wait(loop: Loop, clock: Clock, until_ms: int) -> None:
    """Let promises break and tiers be reached, and all of it be stored: that is not measured."""
    clock.ms = max(clock.ms, until_ms)
    await loop.submit([_heartbeat(clock.ms)])
    while loop.engine.shard.dirty:
        clock.ms += 1
        await loop.submit([_heartbeat(clock.ms)])


async def _turn(loop: Loop, store: SqliteStore, clock: Clock) -> int:
    """Answer what the outbox gives out; how many orders were handed over by that."""
    rows = await store.claim(clock.now_ms(), 256, MINUTE_MS)
    effects = [effect_decoder.decode(row.body) for row in rows]
    now_ms = clock.now_ms()
    await loop.submit([_answer(effect, now_ms) for effect in effects] or [_heartbeat(now_ms)])
    return sum(isinstance(effect, HandOver) for effect in effects)


def _heartbeat(now_ms: int) -> OrderEvent:
    return OrderEvent(EventType.HEARTBEAT, "", "shop", f"h{now_ms}", now_ms, now_ms, is_unique=True)


def _answer(effect: Effect, now_ms: int) -> Answer:
    match effect:
        case Claim():
            return ClaimAnswered(effect.key, effect.takeover_id, "granted", now_ms, paid=True,
                                 sku="steam-50", amount_minor=4_800)  # fmt: skip
        case Submit() | Query():
            return AttemptAnswered(effect.key, effect.takeover_id, effect.attempt_ref, "delivered",
                                   now_ms, goods_count=1, goods_digest=effect.attempt_ref)  # fmt: skip
        case HandOver():
            return HandOverAnswered(effect.key, effect.takeover_id, "delivered", now_ms)
        case _:
            raise AssertionError(f"nobody asked for {effect}")
