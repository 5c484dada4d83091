"""Limits compared with healthy days; expected figures from scipy's binomial distribution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from monitor.core.rules.noise import SHOP, Healthy, lint_noise
from monitor.core.rules.parse import parse
from monitor.core.rules.possible import fewest_that_prove
from monitor.core.signals.survival import NEVER_MS
from monitor.model.rules import Rule


def rule(expr: str, **fields: Any) -> Rule:
    """A warning without anything else."""
    return Rule("A", expr, parse(expr).node, "g", 15_000, **fields)


def healthy(per_day: float, late: float = 0.005, n: int = 1_000) -> Healthy:
    """Delays of 1 to 100 s, evenly, and a share that was late."""
    durations = np.sort(np.linspace(1_000, 100_000, n)).astype(np.int64)
    ratios = {"delayed_ratio": late, "bad_ratio": late, "failed_ratio": 0.0}
    return Healthy(per_day, ratios, durations)


def messages(one: Rule, shop: Healthy, **channels: Healthy) -> list[tuple[str, str]]:
    """Code and message of every finding."""
    return [(found.code, found.message) for found in lint_noise(one, {SHOP: shop, **channels})]


@pytest.mark.parametrize("n", [1, 2, 10, 50, 500])
@pytest.mark.parametrize("chance", [0.02, 0.05, 0.5])
@pytest.mark.parametrize("confidence", [0.9, 0.99, 0.9999])
def test_fewest_that_prove_is_the_first_k_with_a_small_tail(
    n: int, chance: float, confidence: float
) -> None:
    """Counted through with scipy's survival function."""
    tails = stats.binom.sf(np.arange(n + 1) - 1, n, chance)
    small = np.flatnonzero((tails <= round(1 - confidence, 12)) & (np.arange(n + 1) > n * chance))
    expected = int(small[0]) if small.size else None
    assert fewest_that_prove(n, chance, confidence) == expected


def test_window_shorter_than_one_expected_order_is_found() -> None:
    """At 100 orders a day an hour holds four; ten minutes hold two thirds of one."""
    shop = Healthy(100.0)
    assert messages(rule("delayed_ratio[1h] > 30%"), shop) == []
    assert messages(rule("delayed_ratio[10m] > 30%"), shop) == [
        (
            "window-shorter-than-one-expected-order",
            "at 100 orders a day delayed_ratio[10m] holds 0.69 orders on average",
        )
    ]
    assert messages(rule("delayed_ratio[10m:20] > 2%"), shop) == []  # looks back until 20
    assert messages(rule("delayed_ratio[10m:20:6h] > 2%"), shop) == []
    assert [code for code, _ in messages(rule("delayed_ratio[10m:20:6h] > 2%"), Healthy(3.0))] == [
        "window-shorter-than-one-expected-order"
    ]


def test_busiest_channel_counts_for_a_rule_by_channel() -> None:
    """A rule for all channels is not wrong because one of them is quiet."""
    by_channel = rule("delayed_ratio[10m] > 30%", by=("channel",))
    assert messages(by_channel, healthy(300), a=healthy(290), b=healthy(10)) == []
    assert len(messages(by_channel, healthy(200), a=healthy(100), b=healthy(100))) == 1
    only_b = rule('delayed_ratio{channel="b"}[10m] > 30%')
    assert len(messages(only_b, healthy(300), a=healthy(290), b=healthy(10))) == 1


def test_coarse_window_of_plain_time_is_noise_without_history() -> None:
    """Ten orders in the window: one of them is 10 %, five times the limit."""
    found = messages(rule("delayed_ratio[1h] > 2%"), Healthy(240.0))
    assert [code for code, _ in found] == ["threshold-inside-noise"]
    assert "10.0 orders on average, of which one is 10.0% already" in found[0][1]
    assert messages(rule("delayed_ratio[1h] > 12%"), Healthy(240.0)) == []


def test_limit_that_history_exceeds_is_noise() -> None:
    """3 % late on healthy days against a limit of 2 %."""
    found = messages(rule("delayed_ratio > 2%"), healthy(1_000, late=0.03))
    assert found == [
        (
            "threshold-inside-noise",
            "'delayed_ratio > 2%': healthy days have 3.00% of such orders, which is not below 2.00%",
        )
    ]
    assert messages(rule("delayed_ratio > 2%"), healthy(1_000, late=0.005)) == []


def test_expected_false_alarms_come_from_the_binomial_tail() -> None:
    """100 orders per window, 30 windows a day: k of P(X >= k | 100, 2 %) <= 10 % is five."""
    shop = healthy(3_000, late=0.015)
    tails = stats.binom.sf(np.arange(101) - 1, 100, 0.02)
    fewest = int(np.flatnonzero(tails <= 0.1)[0])
    alarms = 900 * float(stats.binom.sf(fewest - 1, 100, 0.015))
    found = messages(rule("delayed_ratio[last 100] > 2%", confidence=0.9), shop)
    assert found[0][1].endswith(
        f"{fewest} of 100 orders fire it, which healthy days (1.50%) reach about "
        f"{alarms:.1f} times in 30 days"
    )
    assert messages(rule("delayed_ratio[last 100] > 2%", confidence=0.9999), shop) == []


def test_percentile_limit_below_the_healthy_one_is_noise() -> None:
    """Delays of 1 to 100 s: p95 is 95 s, so 90 s is inside, 99 s is not."""
    shop = healthy(1_000)
    inside = messages(rule("p95_delay > 90s"), shop)
    assert inside[0][1].endswith("which is not below 5.00%")
    assert messages(rule("p95_delay > 99s"), shop) == []


def test_mean_and_age_limits_within_healthy_days_are_noise() -> None:
    """The mean without the worst 5 % is 48 s; 2.1 % wait longer than 98 s."""
    shop = healthy(1_000)
    assert messages(rule("mean_delay > 45s"), shop)[0][1].endswith("healthy days is 48s")
    assert messages(rule("mean_delay > 3m"), shop) == []
    assert messages(rule("oldest_age > 98s"), shop)[0][1].endswith(
        "2.1% of healthy orders wait that long"
    )
    assert messages(rule("oldest_age > 30m"), shop) == []


def test_orders_never_delivered_lie_beyond_every_limit() -> None:
    """10 % never delivered: no p95 limit is outside of noise."""
    durations = np.array([10_000] * 90 + [NEVER_MS] * 10)
    shop = Healthy(1_000, {}, durations)
    assert messages(rule("p95_delay > 1h"), shop)[0][1].startswith(
        "'p95_delay > 1h': healthy days have 10.00%"
    )
    assert messages(rule("p50_delay > 1h"), shop) == []


def test_few_orders_of_history_are_no_measure() -> None:
    """49 orders say nothing of what is healthy."""
    assert messages(rule("delayed_ratio > 2%"), healthy(1_000, late=0.5, n=49)) == []
