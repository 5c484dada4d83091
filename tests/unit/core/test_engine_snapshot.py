"""The whole engine as a value: what a snapshot holds comes back, byte for byte."""

from monitor.core.engine import Engine
from monitor.model.commands import Batch
from monitor.model.events import OrderEvent
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings

PAID_MS = 1_767_578_400_000  # 2026-01-05T02:00:00Z


def event(kind: str, order_id: str, time_ms: int) -> OrderEvent:
    return OrderEvent(kind, order_id, "shop", f"{order_id}/{kind}", time_ms, time_ms, channel="a")


def engine_with_deliveries(delays_ms: list[int]) -> Engine:
    engine = Engine(Settings(), RuleSet())
    for number, delay_ms in enumerate(delays_ms):
        order_id = f"o{number}"
        engine.handle(Batch((event("order.paid", order_id, PAID_MS),)), PAID_MS)
        done_ms = PAID_MS + delay_ms
        engine.handle(Batch((event("delivery.delivered", order_id, done_ms),)), done_ms)
    return engine


def test_snapshot_of_delivered_orders_comes_back_byte_for_byte() -> None:
    """Delay history, totals and orders survive; a second snapshot has the same bytes."""
    engine = engine_with_deliveries([8_000, 900, 8_000, 75_000])
    body = engine.snapshot()
    restored = Engine(Settings(), RuleSet())
    restored.restore(body, PAID_MS + 75_000)
    assert restored.snapshot() == body
    (hour,) = restored.shard.history.hours()
    assert sorted(hour.delivered.values()) == [1, 1, 2]


def test_history_of_the_same_delays_in_another_order_has_the_same_bytes() -> None:
    """Equal states give equal bytes: buckets are not written in the order they were first hit."""
    slow_first = engine_with_deliveries([75_000, 8_000]).shard.history.snapshot()
    fast_first = engine_with_deliveries([8_000, 75_000]).shard.history.snapshot()
    assert slow_first == fast_first
