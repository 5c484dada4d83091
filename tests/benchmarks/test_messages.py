"""A healthy shop is left alone by the shipped rules over orders, at any volume; a slow one is not.

The months are those of `make bench`, fewer of them. That they are what the product would do is
shown first: the sums agree with the product's panel instant by instant, and the alert's firings with
those of the whole engine.
"""

import numpy as np
import pytest

from benchmarks import bench_messages as bench
from benchmarks.bench_messages import delayed, shipped, slowed
from benchmarks.healthy_shop import Orders, delays_ms, month
from benchmarks.messages import (
    FALSE,
    TRUE,
    UNKNOWN,
    episodes,
    late_within,
    looks_of_mean,
    looks_of_ratio,
    panel_episodes,
    panel_look,
    silent_spells,
    with_confidence,
)
from benchmarks.shop import START_MS
from monitor.core.rules.lookback import settings_for
from monitor.model.commands import Command, Decide
from monitor.model.events import OrderEvent
from monitor.model.records import AlertMoved
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings
from monitor.model.times import HOUR_MS, MINUTE_MS
from monitor.sim.player import Player, record

OF_OUTCOME = {"true": TRUE, "false": FALSE, "insufficient": UNKNOWN, "no_data": UNKNOWN}
SAMPLES = 120


@pytest.mark.parametrize("alert", ["DelayedOver2Percent", "MeanOver3Minutes"])
@pytest.mark.parametrize(("per_day", "late"), [(300, 0.05), (1_500, 0.1), (60, 0.2)])
def test_sums_say_what_the_panel_says(alert: str, per_day: float, late: float) -> None:
    """Condition, `resolve_when` and streak at random instants, bad and good ones."""
    rule, rng = shipped(alert), np.random.default_rng(5)
    orders = month(rng, per_day, 3, late_share=late)
    looks = (looks_of_mean if alert == "MeanOver3Minutes" else looks_of_ratio)(rule, orders)
    true = np.flatnonzero(looks.condition == TRUE)
    chosen = [*rng.integers(0, len(looks.at_ms), SAMPLES), *rng.permutation(true)[:SAMPLES]]
    assert len(true) > 0
    for index in chosen:
        found, resolve, streak = panel_look(rule, orders, int(looks.at_ms[index]))
        assert OF_OUTCOME[found.outcome] == looks.condition[index], found
        if resolve is not None and looks.resolve is not None:
            assert OF_OUTCOME[resolve.outcome] == looks.resolve[index]
        if alert == "DelayedOver2Percent" and found.outcome != "no_data":
            assert streak == looks.streak[index]


def _daytime(orders: Orders, until: int = 17) -> Orders:
    """What is paid from ten o'clock on."""
    hour = (orders.paid_ms - START_MS) // HOUR_MS
    chosen = (hour >= 10) & (hour < until)
    return Orders(orders.paid_ms[chosen], orders.end_ms[chosen])


def _events(orders: Orders) -> list[OrderEvent]:
    events = []
    for number, (paid, end) in enumerate(zip(orders.paid_ms, orders.end_ms, strict=True)):
        for kind, at in (("order.paid", int(paid)), ("delivery.delivered", int(end))):
            events.append(
                OrderEvent(kind, f"o{number}", "shop", f"{kind}{number}", at, at, channel="auto")
            )
    return events


@pytest.mark.parametrize("alert", ["DelayedOver2Percent", "MeanOver3Minutes"])
def test_firings_are_those_of_the_engine(alert: str) -> None:
    """A day with many late orders, played to the engine: it fires when the sums say so.

    A heartbeat longer than the night keeps the source from being called silent.
    """
    rule = shipped(alert)
    orders = _daytime(month(np.random.default_rng(8), 700, 1, late_share=0.12))
    rules = RuleSet((rule,))
    moves: list[tuple[str, int]] = []

    def listen(command: Command) -> None:
        if isinstance(command, Decide) and isinstance(command.decision, AlertMoved):
            moved = command.decision
            states = (moved.previous, moved.alert.state)
            if "firing" in states and states[0] != states[1]:
                moves.append((moved.alert.state, moved.at_ms))

    settings = settings_for(Settings(sources=bench.PATIENT), rules)
    Player(settings, rules, listen).play(record(_events(orders)))
    wanted = []
    for one in episodes(
        rule, (looks_of_mean if rule.for_ms == 0 else looks_of_ratio)(rule, orders)
    ):
        wanted.append(("firing", one.fired_ms))
        if one.resolved_ms is not None:
            wanted.append(("inactive", one.resolved_ms))
    assert len(wanted) >= 4
    assert [state for state, _ in moves] == [state for state, _ in wanted]
    apart = [abs(one - two) for (_, one), (_, two) in zip(moves, wanted, strict=True)]
    assert max(apart) <= rule.interval_ms


@pytest.mark.parametrize(("per_day", "months"), [(50, 6), (300, 6), (2_000, 3)])
def test_healthy_shop_gets_hardly_a_message(per_day: float, months: int) -> None:
    """0.5 % late on a real week: at most 1.6 messages and 0.2 automatic actions in thirty days."""
    messages, actions = delayed(per_day, months)
    assert messages <= 1.6
    assert actions <= 0.2


def test_rule_without_evidence_would_cry_wolf() -> None:
    """The same months with a confidence of one half: the figures above are not of a dead rule."""
    rule = with_confidence(shipped("DelayedOver2Percent"), 0.5)
    orders = month(np.random.default_rng(1), 300)
    assert len(list(episodes(rule, looks_of_ratio(rule, orders)))) > 5


def test_mean_rule_is_quiet_for_ninety_days_at_one_a_minute() -> None:
    """0.5 % of the orders stuck for half an hour to two hours: no alarm."""
    assert bench.mean_messages(1_440, 90, 1) == 0


def test_one_stuck_order_of_ten_leaves_the_mean_rule_alone() -> None:
    """Nine orders of six seconds and one of an hour, at every instant of that hour."""
    rule, orders = shipped("MeanOver3Minutes"), bench.one_stuck_of_ten()
    assert list(episodes(rule, looks_of_mean(rule, orders))) == []
    raw = (orders.end_ms - orders.paid_ms).mean()
    assert raw > 3 * MINUTE_MS


def test_real_slow_down_is_seen_by_both_rules() -> None:
    """All orders slower: the share of late ones says so within minutes, the mean a little later."""
    assert np.quantile(slowed("DelayedOver2Percent", 20, 1_440, 10), 0.9) <= 20 * 60
    assert np.quantile(slowed("MeanOver3Minutes", 40, 1_440, 10), 0.9) <= 20 * 60
    assert slowed("MeanOver3Minutes", 20, 1_440, 10).max() <= 3600


def test_looking_one_by_one_finds_the_same_firings() -> None:
    """The way that any rule can take, and the sums of this one."""
    rule = shipped("DelayedOver2Percent")
    orders = _daytime(month(np.random.default_rng(3), 300, 1, late_share=0.05), until=14)
    where = late_within(orders, 3 * MINUTE_MS, HOUR_MS, rule.interval_ms)
    slowly = list(panel_episodes(rule, orders, where))
    quickly = list(episodes(rule, looks_of_ratio(rule, orders)))
    assert len(slowly) == len(quickly) > 0
    apart = [abs(one.fired_ms - two.fired_ms) for one, two in zip(slowly, quickly, strict=True)]
    assert max(apart) <= 2 * rule.interval_ms


def test_share_of_late_orders_is_the_one_asked_for() -> None:
    """Half a percent of a million, and nothing else over the promise."""
    delays = delays_ms(np.random.default_rng(0), 1_000_000, 0.005)
    assert len(delays) == 1_000_000
    assert 0.0047 <= (delays > 3 * MINUTE_MS).mean() <= 0.0053


def test_source_that_never_pauses_is_not_called_silent() -> None:
    """An order every minute at a flat rate for ten days, and then one gap of an hour."""
    orders = month(np.random.default_rng(2), 1_440, 10, late_share=0.0, is_flat=True)
    assert silent_spells(orders) == 0
    gap = orders.paid_ms > START_MS + 5 * 24 * HOUR_MS
    later = Orders(orders.paid_ms + gap * HOUR_MS, orders.end_ms + gap * HOUR_MS)
    assert silent_spells(later) == 1
