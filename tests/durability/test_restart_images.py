"""After a power cut: what was acknowledged is there before anything is decided, and nothing twice.

200 images by default, about ten seconds; more with DELIVERY_MONITOR_RESTARTS.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from monitor.adapters.storage.sqlite import open_sqlite
from monitor.adapters.storage.sqlite_store import SqliteStore
from monitor.core.engine import Engine
from monitor.model.events import EventType, OrderEvent
from monitor.model.records import Breached, Record, TierReached
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings
from monitor.ports import OrderRow, Store
from monitor.runtime.found import decode_segment
from monitor.runtime.loop import Loop
from monitor.runtime.supervisor import Supervisor
from tests.durability.power_cut import Image, images
from tests.durability.recording_vfs import Synced, Tape, recording
from tests.durability.shop_log import END_MS, StepClock, events_of, fill

RESTARTS = int(os.environ.get("DELIVERY_MONITOR_RESTARTS", "200"))
STEPS, STEP_MS = 24, 20_000
CHECKPOINT_PAGES = 60
FIRST_STEPS, EARLY_STEPS = STEPS - 1, 4  # the last snapshot is two steps older than the kill
IMAGES_EACH = max(5, RESTARTS // 40)  # before every sync of the second life


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is one."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="restarts-", dir=place))
    yield folder
    shutil.rmtree(folder)


def _identities(steps: int) -> set[tuple[str, str]]:
    start_ms = StepClock().ms
    return {
        (event.order_id, event.event_id)
        for step in range(steps)
        for event in events_of(step, start_ms + (step + 1) * STEP_MS)
    }


async def _restarted(data_dir: Path) -> tuple[set[tuple[str, str]], set[str], list[Record]]:
    """Start the loop on an image, let a day pass; events known before it decided, orders, the log."""
    store = await open_sqlite(data_dir)
    before = [record for one in await store.read(0) for record in decode_segment(one)]
    known = {(one.order_id, one.event_id) for one in before if isinstance(one, OrderEvent)}
    clock, supervisor = StepClock(), Supervisor()
    loop = Loop(store, clock, Engine(Settings(), RuleSet()), owner="test")
    clock.ms = END_MS
    await loop.start(supervisor)
    orders = set(loop.engine.shard.orders)
    await loop.submit(events_of(STEPS + 5, clock.ms))  # a shop that speaks makes all others due
    await loop.stop()
    await supervisor.stop()
    log: list[Record] = []
    position = 0
    while segments := await store.read(position):
        log += [record for one in segments for record in decode_segment(one)]
        position = segments[-1].position
    await store.close()
    assert supervisor.failure is None
    return known, orders, log


async def _wrong(folder: Path, image: Image) -> str | None:
    place = folder / "image"
    image.write_to(place)
    try:
        known, orders, log = await _restarted(place)
    finally:
        shutil.rmtree(place)
    if missing := _identities(image.acknowledged) - known:
        return f"{len(missing)} acknowledged events are missing"
    if absent := {order_id for order_id, _ in known} - orders - _left(log):
        return f"{len(absent)} orders were not there when deciding went on"
    decided = Counter(
        (type(one).__name__, one.order_id, getattr(one, "tier", 0))
        for one in log
        if isinstance(one, (Breached, TierReached))
    )
    twice = [what for what, count in decided.items() if count > 1]
    return f"decided twice: {twice[:3]}" if twice else None


def _left(log: list[Record]) -> set[str]:
    """Orders that were delivered: they may have left memory."""
    return {
        one.order_id
        for one in log
        if isinstance(one, OrderEvent) and one.type == EventType.DELIVERED
    }


@pytest.mark.slow
@pytest.mark.timeout(120 + RESTARTS)
async def test_power_cut_at_any_sync_restarts_to_all_events_and_no_second_decision(
    memory: Path,
) -> None:
    """Whatever the disk kept, the service goes on from what it had acknowledged and decided."""
    with recording() as tape:
        await fill(
            memory / "recorded", is_killed=False, steps=STEPS,
            checkpoint_pages=CHECKPOINT_PAGES, on_acknowledged=tape.acknowledge,
        )  # fmt: skip
    wrongs, count = [], 0
    for image in images(tape.marks, RESTARTS, 1):
        count += 1
        if wrong := await _wrong(memory, image):
            wrongs.append(f"image {image.number}, mark {image.mark}: {wrong}")
    print(count, "restarts")
    assert wrongs == []
    assert count >= RESTARTS


class _Gated:
    """A store on which rebuilding waits, and only that, until it is let on."""

    def __init__(self, store: SqliteStore) -> None:
        self.gate = asyncio.Event()
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def lookup(self, order_ids: Sequence[str]) -> dict[str, OrderRow]:
        task = asyncio.current_task()
        if task is None or task.get_name() != "early":
            await self.gate.wait()
        return await self._store.lookup(order_ids)


async def _two_lives(folder: Path, tape: Tape) -> int:
    """A life that is killed, and one that is cut while it is rebuilt; returns where that began."""
    clock, supervisor = StepClock(), Supervisor()
    store = await open_sqlite(folder)
    loop = Loop(store, clock, Engine(Settings(), RuleSet()), owner="test")
    await loop.start(supervisor)
    for step in range(FIRST_STEPS):
        clock.ms += STEP_MS
        await loop.submit(events_of(step, clock.ms))
        tape.acknowledge(step + 1)
    await supervisor.stop()
    await store.close()
    begun = len(tape.marks)
    store = await open_sqlite(folder)
    gated = _Gated(store)
    loop = Loop(cast("Store", gated), clock, Engine(Settings(), RuleSet()), owner="test")
    starting = asyncio.ensure_future(loop.start(supervisor))
    while not loop.is_taking:
        await asyncio.sleep(0)
    for step in range(FIRST_STEPS, FIRST_STEPS + EARLY_STEPS):
        clock.ms += STEP_MS
        assert set(await loop.submit(events_of(step, clock.ms))) == {"accepted"}
        tape.acknowledge(step + 1)
    assert not loop.is_ready
    gated.gate.set()
    await starting
    await loop.submit(events_of(FIRST_STEPS + EARLY_STEPS, clock.ms))
    await loop.stop()
    await supervisor.stop()
    await store.close()
    return begun


@pytest.mark.slow
@pytest.mark.timeout(120 + RESTARTS)
async def test_power_cut_during_early_acknowledgement_loses_nothing_and_decides_nothing_twice(
    memory: Path,
) -> None:
    """Events that were acknowledged while the state was being rebuilt are like any others."""
    with recording() as tape:
        begun = await _two_lives(memory / "recorded", tape)
    syncs = sum(isinstance(one, Synced) for one in tape.marks)
    late = [one for one in images(tape.marks, syncs * IMAGES_EACH, 1) if one.mark >= begun]
    wrongs = [wrong for image in late if (wrong := await _wrong(memory, image))]
    print(len(late), "restarts")
    assert wrongs == []
    acknowledged = {one.acknowledged for one in late}
    assert acknowledged >= set(range(FIRST_STEPS, FIRST_STEPS + EARLY_STEPS + 1))


async def test_decision_that_was_made_before_is_not_made_again_after_a_second_restart(
    memory: Path,
) -> None:
    """The oracle sees a log in which the same order breached twice, and one event that is missing."""
    await fill(memory / "data", is_killed=True, steps=STEPS)
    image = Image(
        {path.name: path.read_bytes() for path in (memory / "data").glob("monitor.db*")},
        STEPS, 0, 0,
    )  # fmt: skip
    assert await _wrong(memory, image) is None
    more = Image(image.files, STEPS + 1, 0, 0)
    assert "acknowledged events are missing" in str(await _wrong(memory, more))
    store = await open_sqlite(memory / "data")
    decisions = [one for one in await store.read(0) if b'"t":"breach"' in one.segment.body]
    await store.append(decisions[0].segment)
    await store.close()
    files = {path.name: path.read_bytes() for path in (memory / "data").glob("monitor.db")}
    assert "decided twice" in str(await _wrong(memory, Image(files, STEPS, 0, 0)))
