"""How many alerts are kept: the longest resolved go first, and active ones are never too many."""

import pytest

from monitor.core.alerting.watch import ALERTS_MAX, Watch
from monitor.core.engine import Engine
from monitor.core.rules.parse import parse
from monitor.model.alerts import Alert, AlertState
from monitor.model.commands import Batch, Tick
from monitor.model.events import OrderEvent
from monitor.model.records import AlertMoved
from monitor.model.rules import Rule, RuleSet
from monitor.model.settings import Settings

T0 = 1_767_225_600_000  # 2026-01-01T00:00:00Z
RULE = Rule(
    "Waiting", "open_orders > 0", parse("open_orders > 0").node, "g", 15_000, by=("channel", "sku")
)


def alert(name: str, resolved_ms: int | None = None) -> Alert:
    state = AlertState.FIRING if resolved_ms is None else AlertState.INACTIVE
    return Alert("Waiting", (("channel", "c"), ("sku", name)), state, "warning",
                 resolved_ms=resolved_ms)  # fmt: skip


def move(watch: Watch, moved: Alert) -> None:
    watch.apply(AlertMoved(moved, AlertState.INACTIVE, T0))


@pytest.mark.parametrize("is_restored", [False, True])
def test_longest_resolved_alerts_are_forgotten_first(is_restored: bool) -> None:
    """By the time of their end, then by key, whatever order they are kept in."""
    watch = Watch(RuleSet((RULE,)))
    resolved = [alert("z", T0 + 1), alert("b", T0 + 2), alert("a", T0 + 2), alert("c", T0 + 9)]
    for one in resolved:
        move(watch, one)
    if is_restored:
        watch.restore([watch.alerts[key] for key in sorted(watch.alerts)])
    for n in range(ALERTS_MAX - 2):
        move(watch, alert(f"{n}"))
    kept = [one.key for one in resolved if one.key in watch.alerts]
    assert kept == [alert("b").key, alert("c").key]
    assert len(watch.alerts) == ALERTS_MAX


def test_alert_that_comes_back_is_as_old_as_its_latest_end() -> None:
    """It was resolved first, fired again, and was resolved again as the last of all."""
    watch = Watch(RuleSet((RULE,)))
    for one in (alert("a", T0), alert("b", T0 + 1), alert("a"), alert("a", T0 + 2)):
        move(watch, one)
    for n in range(ALERTS_MAX - 1):
        move(watch, alert(f"{n}"))
    assert alert("a").key in watch.alerts
    assert alert("b").key not in watch.alerts


def test_snapshot_with_too_many_alerts_is_cut_to_the_limit() -> None:
    """Of 2,005 resolved ones the latest 2,000 stay."""
    watch = Watch(RuleSet((RULE,)))
    watch.restore([alert(f"{n}", T0 + n) for n in range(ALERTS_MAX + 5)])
    assert len(watch.alerts) == ALERTS_MAX
    assert alert("4").key not in watch.alerts
    assert alert("5").key in watch.alerts


def test_no_alert_is_opened_while_the_limit_is_active() -> None:
    """2,010 pairs wait: 2,000 fire, ten refusals are counted; a pair that ends makes room."""
    engine = Engine(Settings(), RuleSet((RULE,)))
    paid = [
        OrderEvent("order.paid", f"{n}", "shop", f"{n}", T0, T0, channel=f"c{n // 100}",
                   sku=f"s{n % 100}")
        for n in range(ALERTS_MAX + 10)
    ]  # fmt: skip
    engine.handle(Batch(tuple(paid)), T0)
    watch = engine.control.watch
    assert len(watch.alerts) == ALERTS_MAX
    assert watch.refused == 10
    done = OrderEvent("delivery.delivered", "0", "shop", "d", T0 + 1_000, T0 + 1_000)
    engine.handle(Batch((done,)), T0 + 1_000)
    engine.handle(Tick(), T0 + 15_000)
    engine.handle(Tick(), T0 + 30_000)
    assert len(watch.alerts) == ALERTS_MAX
    assert sum(one.state == AlertState.FIRING for one in watch.alerts.values()) == ALERTS_MAX
