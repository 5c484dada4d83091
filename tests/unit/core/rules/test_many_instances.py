"""More instances than a rule can have: what fires stays among them, and nothing raises."""

import numpy as np
import numpy.typing as npt

from monitor.core.alerting.watch import Watch
from monitor.core.engine import Engine
from monitor.core.rules.panel import Panel
from monitor.core.rules.parse import parse
from monitor.core.signals.grouped import SCOPES_MAX
from monitor.core.signals.observation import COLUMNS, Names, merge, observation
from monitor.model.alerts import Alert, AlertState
from monitor.model.commands import Batch, Tick
from monitor.model.events import OrderEvent
from monitor.model.records import AlertMoved
from monitor.model.rules import Rule, RuleSet, Signal
from monitor.model.settings import Settings
from tests.unit.core.rules.worlds import NOW_MS, TYPES, Side

BY = ("channel", "sku")
WAITING = Rule("Waiting", "open_orders > 0", parse("open_orders > 0").node, "g", 15_000, by=BY)
LAST = Alert("Waiting", (("channel", "zz"), ("sku", "zz")), AlertState.FIRING, "warning")


def pairs(channels: int, skus: int) -> Panel:
    """One waiting order for each pair of so many channels and goods; the last pair is zz/zz."""
    names = Names(
        (*(f"c{n:03}" for n in range(channels - 1)), "zz"), ("shop",), ("unknown",),
        (*(f"s{n:03}" for n in range(skus - 1)), "zz"),
    )  # fmt: skip
    n = channels * skus
    filled = {
        "paid_ms": np.full(n, NOW_MS - 9_000),
        "deadline_ms": np.full(n, NOW_MS + 9_000),
        "key": np.arange(n),
        "channel": np.arange(n) // skus,
        "sku": np.arange(n) % skus,
    }
    columns: dict[str, npt.NDArray[np.generic]] = {
        name: filled.get(name, np.zeros(n, np.int64)).astype(TYPES.get(name, np.int64))
        for name in COLUMNS
    }
    return Panel(merge([observation(columns, names)]), Side([0.5]), NOW_MS)


def test_active_instance_beyond_the_limit_stays_with_its_own_orders() -> None:
    """40,000 pairs: the last by name has an alert, so it is read, and with no order of others."""
    panel = pairs(200, 200)
    domain = panel.domain(BY, [("zz", "zz"), ("gone", "gone")])
    assert len(domain) == SCOPES_MAX
    assert domain.place(("c198", "zz")) is None
    place, gone = domain.place(("zz", "zz")), domain.place(("gone", "gone"))
    assert place is not None
    assert gone is not None
    got = panel.read(Signal("open_orders"), domain, min_count=1)
    assert got.values[[0, place, gone]].tolist() == [1.0, 1.0, 0.0]


def test_more_active_instances_than_the_limit_raise_nothing() -> None:
    """Those left out have no place; the rest are looked at."""
    panel = pairs(1, 1)
    active = [("c", f"{n:05}") for n in range(SCOPES_MAX + 1)]
    domain = panel.domain(BY, active)
    assert len(domain) == SCOPES_MAX
    assert domain.place(active[0]) == 0
    assert domain.place(active[-1]) is None


def test_alert_beyond_the_limit_is_looked_at_like_any_other() -> None:
    """zz/zz still waits, so its alert is still true; its finding can be asked for."""
    watch = Watch(RuleSet((WAITING,)))
    watch.apply(AlertMoved(LAST, AlertState.PENDING, NOW_MS))
    for moved in watch.evaluate(WAITING, pairs(102, 100)):
        watch.apply(moved)
    finding = watch.finding(LAST)
    assert finding is not None
    assert finding.outcome == "true"


def test_engine_takes_ten_thousand_new_pairs_beside_an_alert() -> None:
    """The alert on zz/zz is from before; the next look neither raises nor ends it."""
    engine = Engine(Settings(), RuleSet((WAITING,)))

    def paid(order_id: str, channel: str, sku: str) -> OrderEvent:
        return OrderEvent("order.paid", order_id, "shop", order_id, NOW_MS, NOW_MS,
                          channel=channel, sku=sku)  # fmt: skip

    engine.handle(Batch((paid("last", "zz", "zz"),)), NOW_MS)
    engine.handle(Tick(), NOW_MS + 15_000)
    assert engine.control.alerts[LAST.key].state == AlertState.FIRING
    more = [paid(f"{n}", f"c{n // 100:03}", f"s{n % 100:03}") for n in range(10_100)]
    engine.handle(Batch(tuple(more)), NOW_MS + 16_000)
    engine.handle(Tick(), NOW_MS + 31_000)
    assert engine.control.alerts[LAST.key].state == AlertState.FIRING
