"""Orders are found and hashed wherever they are."""

import asyncio

import pytest

from monitor.adapters.storage.memory import MemoryStore
from monitor.core.engine import Engine
from monitor.model.alerts import Alert
from monitor.model.commands import Batch, Tick
from monitor.model.errors import CapacityError
from monitor.model.events import OrderEvent
from monitor.model.records import AlertMoved, TierReached
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings
from monitor.model.times import HOUR_MS, MINUTE_MS
from monitor.ports import Checkpoint, StoredSegment
from monitor.runtime.archive import Archive
from monitor.runtime.order_rows import row_of
from monitor.runtime.segments import segment_of

START_MS = 1_767_578_400_000  # 2026-01-05T02:00:00Z
LATER_MS = START_MS + 10 * HOUR_MS


def story() -> list[OrderEvent]:
    """Three orders delivered at once, one just before LATER_MS, one that waits."""
    events = []
    for name in ("b", "a", "d"):
        events.append(_event("order.paid", name, START_MS))
        events.append(_event("delivery.delivered", name, START_MS + MINUTE_MS))
    events.append(_event("order.paid", "c", LATER_MS - MINUTE_MS))
    events.append(_event("delivery.delivered", "c", LATER_MS))
    return [*events, _event("order.paid", "e", LATER_MS - MINUTE_MS)]


async def settled() -> tuple[Engine, MemoryStore]:
    """An engine at LATER_MS that forgot three of five orders, and the store that has them all."""
    engine, store = Engine(Settings(), RuleSet()), MemoryStore()
    lease = await store.acquire("loop", "test", START_MS, HOUR_MS)
    assert lease is not None
    for event in story():
        engine.handle(Batch((event,)), event.time_ms)
        rows = tuple(row_of(order) for order in engine.shard.drain_dirty())
        await store.commit(lease, Checkpoint(cursor=0, orders=rows))
    engine.handle(Tick(), LATER_MS)
    assert sorted(engine.shard.orders) == ["c", "e"]
    return engine, store


async def test_hash_covers_orders_that_left_memory() -> None:
    """The same hash as an engine that forgets nothing, at several times of judging."""
    engine, store = await settled()
    whole = Engine(Settings(signal_window_ms=100 * HOUR_MS), RuleSet())
    whole.handle(Batch(tuple(story())), LATER_MS)
    archive = Archive(store, engine)
    for at_ms in (START_MS, LATER_MS, LATER_MS + HOUR_MS):
        found = await archive.state_hash(at_ms)
        assert (found.state_hash, found.orders) == (whole.state_hash(at_ms), 5)
    assert (await archive.state_hash(None)).judged_ms == LATER_MS
    assert engine.state_hash(LATER_MS) != whole.state_hash(LATER_MS)


async def test_order_is_found_in_memory_and_in_the_store() -> None:
    """Looking does not bring it back into memory."""
    engine, store = await settled()
    archive = Archive(store, engine)
    assert await archive.find("e") is engine.shard.orders["e"]
    found = await archive.find("a")
    assert found is not None
    assert (found.order_id, found.facts.paid_ms) == ("a", START_MS)
    assert await archive.find("nobody") is None
    assert sorted(engine.shard.orders) == ["c", "e"]


class WaitingStore(MemoryStore):
    """A store whose ids come only when the gate opens."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.gate = asyncio.Event(), asyncio.Event()

    async def closed_ids(self) -> list[str]:
        self.asked.set()
        await self.gate.wait()
        return await super().closed_ids()


async def test_second_walk_at_the_same_time_is_refused() -> None:
    """A walk over all orders is dear; when the first has ended the next may start."""
    store = WaitingStore()
    archive = Archive(store, Engine(Settings(), RuleSet()))
    first = asyncio.ensure_future(archive.state_hash(0))
    await store.asked.wait()
    with pytest.raises(CapacityError):
        await archive.state_hash(0)
    store.gate.set()
    assert (await first).orders == 0
    assert (await archive.state_hash(0)).orders == 0


def _event(kind: str, order_id: str, at_ms: int) -> OrderEvent:
    return OrderEvent(kind, order_id, "shop", f"{order_id}-{kind}", at_ms, at_ms)


async def test_moves_of_an_alert_are_found_in_the_log_up_to_a_time() -> None:
    """Three moves of two rules among other decisions; before the log begins nothing is known."""
    store = MemoryStore()
    lease = await store.acquire("loop", "test", START_MS, HOUR_MS)
    assert lease is not None
    moves = [
        AlertMoved(Alert(rule, (), state, "warning"), "inactive", START_MS + minute * MINUTE_MS)
        for rule, state, minute in (
            ("Late", "pending", 1),
            ("Slow", "firing", 2),
            ("Late", "firing", 3),
        )
    ]
    await store.append(segment_of("entries", story()[:1]))
    for moved in moves:
        noise = TierReached("a", 1, moved.at_ms)
        decisions = segment_of("decisions", [noise, moved])
        await store.commit(lease, Checkpoint(cursor=1, decisions=decisions))
    archive = Archive(store, Engine(Settings(), RuleSet()))
    assert await archive.alert_moves("Late", LATER_MS) == [moves[0], moves[2]]
    assert await archive.alert_moves("Late", moves[2].at_ms - 1) == [moves[0]]
    assert await archive.alert_moves("Late", moves[0].at_ms - 1) == []
    assert await archive.alert_moves("Nobody", LATER_MS) == []
    assert await archive.alert_moves("Late", START_MS - 1) is None


class Held(MemoryStore):
    """A log that is read when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.let_go = asyncio.Event(), asyncio.Event()

    async def read(self, after: int, max_bytes: int = 8_000_000) -> list[StoredSegment]:
        self.asked.set()
        await self.let_go.wait()
        return await super().read(after, max_bytes)


async def test_log_is_read_for_one_at_a_time() -> None:
    """The second is asked to come again; afterwards reading works as before."""
    store = Held()
    archive = Archive(store, Engine(Settings(), RuleSet()))
    first = asyncio.create_task(archive.alert_moves("Late", LATER_MS))
    await store.asked.wait()
    with pytest.raises(CapacityError):
        await archive.alert_moves("Late", LATER_MS)
    store.let_go.set()
    assert await first == []
    assert await archive.alert_moves("Late", LATER_MS) == []
