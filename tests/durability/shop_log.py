"""A data directory as the real loop leaves it: orders open, late, delivered, a snapshot and a tail."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from monitor.adapters.storage.sqlite import open_sqlite
from monitor.core.engine import Engine
from monitor.model.events import EventType, OrderEvent
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings
from monitor.model.times import UnixMs
from monitor.runtime.loop import Loop
from monitor.runtime.supervisor import Supervisor

START_MS = 1_750_000_000_000
END_MS = START_MS + 86_400_000
STEP_MS = 20_000
ORDERS_PER_STEP = 3
DELIVERED_AFTER = 4  # steps; every seventh order never is


class StepClock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.ms = START_MS

    def now_ms(self) -> UnixMs:
        return UnixMs(self.ms)


def events_of(step: int, now_ms: int) -> list[OrderEvent]:
    """What the shop says in one step."""
    said = [
        _event(EventType.PAID, step * ORDERS_PER_STEP + number, now_ms)
        for number in range(ORDERS_PER_STEP)
    ]
    before = (step - DELIVERED_AFTER) * ORDERS_PER_STEP
    said += [
        _event(EventType.DELIVERED, order, now_ms)
        for order in range(max(0, before), max(0, before + ORDERS_PER_STEP))
        if order % 7
    ]
    return said


def _event(kind: EventType, order: int, now_ms: int) -> OrderEvent:
    return OrderEvent(
        source="shop",
        event_id=f"{order}-{kind}",
        type=kind,
        order_id=f"order-{order}",
        time_ms=UnixMs(now_ms),
        received_ms=UnixMs(now_ms),
        channel="auto",
        amount_minor=1_000 + order,
    )


async def fill(
    data_dir: Path,
    *,
    is_killed: bool,
    steps: int = 30,
    checkpoint_pages: int = 1_000,
    on_acknowledged: Callable[[int], None] = lambda _steps: None,
) -> int:
    """Make the directory, as a stop or a kill leaves it; returns how many events were acknowledged.

    `on_acknowledged` is told how many steps the shop knows to be taken.
    """
    work = data_dir.with_name(f"{data_dir.name}-at-work") if is_killed else data_dir
    store = await open_sqlite(work)
    await store._writer.read(lambda sql: sql.pragma("wal_autocheckpoint", checkpoint_pages))
    clock, supervisor = StepClock(), Supervisor()
    loop = Loop(store, clock, Engine(Settings(), RuleSet()), owner="test")
    await loop.start(supervisor)
    acknowledged = 0
    for step in range(steps):
        clock.ms += STEP_MS
        acknowledged += len(await loop.submit(events_of(step, clock.ms)))
        on_acknowledged(step + 1)
    await store.health()  # waits in line behind what the last turn commits
    if is_killed:
        # The shared memory is left out: a start after a kill makes it anew.
        shutil.copytree(work, data_dir, ignore=shutil.ignore_patterns("*-shm"))
    await loop.stop()
    await supervisor.stop()
    await store.close()
    if is_killed:
        shutil.rmtree(work)
    assert supervisor.failure is None
    return acknowledged
