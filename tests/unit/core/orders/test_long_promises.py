"""Orders nobody speaks of for long leave memory, but not before their promise is judged."""

from monitor.core.engine import Engine
from monitor.model.commands import Batch, Command, Decide, Tick
from monitor.model.events import OrderEvent
from monitor.model.records import Breached
from monitor.model.rules import RuleSet
from monitor.model.settings import PromiseTable, Settings, SourceSettings
from monitor.model.times import DAY_MS

PAID_MS = 1_767_578_400_000  # 2026-01-05T02:00:00Z


def breaches_of_silent_order(promise_ms: int) -> list[int]:
    """When a single order, paid and never heard of again, is found to have broken its promise."""
    engine = Engine(Settings(promise=PromiseTable(default_ms=promise_ms)), RuleSet())
    paid = OrderEvent("order.paid", "o1", "shop", "e1", PAID_MS, PAID_MS)
    # One order teaches no rate, so its source is never taken for silent.
    engine.handle(Batch((paid,)), PAID_MS)
    found: list[int] = []
    for day in range(1, promise_ms // DAY_MS + 40):
        wake_ms = PAID_MS + day * DAY_MS
        commands = engine.handle(Tick(), wake_ms)
        engine.shard.drain_dirty()
        found += [one.decided_ms for one in _breaches(commands)]
    return found


def test_promise_longer_than_memory_is_still_judged() -> None:
    """45 days promised, nothing heard for 30: the breach is decided on the first look after 45 d."""
    assert breaches_of_silent_order(45 * DAY_MS) == [PAID_MS + 46 * DAY_MS]


def test_promise_as_long_as_memory_is_still_judged() -> None:
    """Memory and promise ending in the same moment do not lose the breach."""
    assert breaches_of_silent_order(30 * DAY_MS) == [PAID_MS + 31 * DAY_MS]


def test_order_of_a_source_silent_for_longer_than_memory_is_judged_when_it_returns() -> None:
    """40 days of silence hold the breach back; a minute after the source returns it is decided."""
    settings = Settings(sources=(SourceSettings("shop", heartbeat_ms=DAY_MS),))
    engine = Engine(settings, RuleSet())
    # Due after a day, when the source has just become silent.
    engine.handle(
        Batch((OrderEvent("order.paid", "o1", "shop", "e1", PAID_MS, PAID_MS, promise_ms=DAY_MS),)),
        PAID_MS,
    )
    decided: list[Breached] = []
    for day in range(1, 41):
        decided += _breaches(engine.handle(Tick(), PAID_MS + day * DAY_MS + 1))
        engine.shard.drain_dirty()
    assert decided == []
    back_ms = PAID_MS + 41 * DAY_MS
    beat = OrderEvent("source.heartbeat", "", "shop", "h1", back_ms, back_ms, is_unique=True)
    assert _breaches(engine.handle(Batch((beat,)), back_ms)) == []
    (found,) = _breaches(engine.handle(Tick(), back_ms + settings.backlog_hold_ms))
    assert (found.order_id, found.at_ms) == ("o1", PAID_MS + DAY_MS)


def _breaches(commands: list[Command]) -> list[Breached]:
    decisions = [one.decision for one in commands if isinstance(one, Decide)]
    return [one for one in decisions if isinstance(one, Breached)]
