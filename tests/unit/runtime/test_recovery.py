"""Orders that left memory are found again, whenever somebody speaks of them."""

from monitor.adapters.storage.memory import MemoryStore
from monitor.core.engine import Engine
from monitor.model.commands import Batch, Tick
from monitor.model.events import OrderEvent
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings
from monitor.model.times import DAY_MS
from monitor.ports import Checkpoint
from monitor.runtime.order_rows import row_of
from monitor.runtime.recovery import KnownOrders

PAID_MS = 1_767_578_400_000  # 2026-01-05T02:00:00Z


def event(kind: str, at_ms: int) -> OrderEvent:
    return OrderEvent(kind, "o1", "shop", kind, at_ms, at_ms)


async def test_event_between_going_dormant_and_the_next_commit_finds_its_order() -> None:
    """The store holds the order as open, and nobody has told it yet that it went dormant."""
    engine, store = Engine(Settings(), RuleSet()), MemoryStore()
    engine.handle(Batch((event("order.paid", PAID_MS),)), PAID_MS)
    engine.handle(Tick(), PAID_MS + DAY_MS)
    lease = await store.acquire("loop", "me", PAID_MS, DAY_MS)
    assert lease is not None
    await store.commit(lease, Checkpoint(0, orders=tuple(map(row_of, engine.shard.drain_dirty()))))
    late_ms = PAID_MS + 40 * DAY_MS
    engine.handle(Tick(), late_ms)
    assert engine.shard.orders == {}
    attempted = event("delivery.attempted", late_ms)
    await KnownOrders().bring_back(store, engine, [attempted], late_ms)
    engine.handle(Batch((attempted,)), late_ms)
    assert [one.type for one in engine.shard.orders["o1"].timeline] == [
        "order.paid", "delivery.attempted",
    ]  # fmt: skip
    # Its row as dormant would overwrite the one with the new event.
    assert engine.shard.drain_dormant() == []
