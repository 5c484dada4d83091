"""Allowed false alarms as a confidence of each look, calculated by hand."""

from __future__ import annotations

import pytest

from monitor.core.rules.false_alarms import confidence_for, parse_false_alarms
from monitor.core.rules.parse import parse
from monitor.model.times import DAY_MS


@pytest.mark.parametrize(
    ("text", "expected"), [("1/30d", (1, 30 * DAY_MS)), ("2 / 1w", (2, 7 * DAY_MS))]
)
def test_form_is_a_number_per_time(text: str, expected: tuple[int, int]) -> None:
    """Spaces do not matter."""
    assert parse_false_alarms(text) == expected


@pytest.mark.parametrize("text", ["", "1", "0/30d", "1/30", "-1/30d", "1/0d", "1/30d/2", "0.5/1d"])
def test_anything_else_is_refused(text: str) -> None:
    """None and per no time are not allowances."""
    with pytest.raises(ValueError, match="1/30d"):
        parse_false_alarms(text)


@pytest.mark.parametrize(
    ("expr", "allowed", "miss"),
    [
        ("delayed_ratio[1h] > 2%", 1, 1 / 720),
        ("delayed_ratio[1h] > 2% and p95_delay[10m] > 1m", 2, 2 / 4320),
        ("delayed_ratio[1h] > 2% and mean_delay[1m] > 1m", 1, 1 / 720),
        ("burn_rate(a, 6h) > 6 and burn_rate(a, 30m) > 6", 1, 1 / 1440),
        ("delayed_ratio[last 50] > 2%", 1, 1 / 4320),
        ("delayed_ratio[7d] > 2%", 5, 0.5),
    ],
)
def test_shortest_tested_window_sets_the_number_of_looks(
    expr: str, allowed: int, miss: float
) -> None:
    """Per 30 days; never less sure than a coin."""
    found = confidence_for(allowed, 30 * DAY_MS, parse(expr).node)
    assert found == pytest.approx(1 - miss, abs=1e-12)


def test_rule_without_a_tested_signal_has_nothing_to_make_stricter() -> None:
    """A mean, a count and a chart."""
    text = "mean_delay > 3m or open_orders > 5 or cusum_ratio > 1"
    assert confidence_for(1, DAY_MS, parse(text).node) is None
