"""Another time zone: the usual week of arrivals is learned anew, not read at other hours."""

import msgspec

from monitor.core.engine import Engine
from monitor.core.signals.arrivals import ArrivalReading
from monitor.model.commands import Batch, Tick
from monitor.model.events import OrderEvent
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS

T0 = 1_767_571_200_000  # Monday 2026-01-05T00:00:00Z
CHINA = Settings(utc_offsets=((0, 8 * HOUR_MS),))
UTC = Settings(utc_offsets=((0, 0),))
END_MS = T0 + 14 * DAY_MS


def told() -> Engine:
    """Two weeks with an order every five minutes, delivered at once."""
    engine = Engine(CHINA, RuleSet())
    for at_ms in range(T0, END_MS, HOUR_MS):
        batch = [
            OrderEvent(kind, f"{order_ms}", "shop", f"{kind}{order_ms}", order_ms, order_ms)
            for order_ms in range(at_ms, at_ms + HOUR_MS, 5 * MINUTE_MS)
            for kind in ("order.paid", "delivery.delivered")
        ]
        engine.handle(Batch(tuple(batch)), at_ms + HOUR_MS - 1)
        engine.shard.drain_dirty()
    engine.handle(Tick(), END_MS)
    return engine


def shop_of(engine: Engine, now_ms: int = END_MS + 1) -> ArrivalReading:
    reading, *_ = engine.control.learning.arrivals_now(engine.shard.tallies, now_ms)
    return reading


def test_reload_with_another_time_zone_starts_a_new_week() -> None:
    """The same zone again changes nothing; another one is learning, from now on and in it."""
    engine = told()
    assert shop_of(engine).state == "ok"
    engine.configure(msgspec.structs.replace(CHINA, language="en"), RuleSet())
    assert shop_of(engine).state == "ok"
    engine.configure(UTC, RuleSet())
    assert shop_of(engine).state == "learning"
    arrivals, _ = engine.control.learning.snapshot()
    assert arrivals is not None
    assert arrivals.offsets == UTC.utc_offsets
    assert arrivals.learned_ms >= END_MS


def test_snapshot_of_another_time_zone_brings_no_week() -> None:
    """Restored with the zone it was made under it goes on; under another one it learns anew."""
    body = told().snapshot()
    for settings, state in ((CHINA, "ok"), (UTC, "learning")):
        engine = Engine(settings, RuleSet())
        engine.restore(body, END_MS)
        assert shop_of(engine).state == state


def test_week_that_does_not_name_its_time_zone_is_believed() -> None:
    """Snapshots of older releases name none."""
    written = told()
    arrivals, callbacks = written.control.learning.snapshot()
    assert arrivals is not None
    engine = Engine(CHINA, RuleSet())
    engine.restore(written.snapshot(), END_MS)
    older = msgspec.structs.replace(arrivals, offsets=None)
    engine.control.learning.restore([], older, callbacks)
    assert shop_of(engine).state == "ok"
