"""How long judged orders stay in memory is set by the windows that read them."""

from __future__ import annotations

import pytest

from monitor.core.rules.lookback import settings_for
from monitor.core.rules.parse import parse
from monitor.model.rules import Rule, RuleSet
from monitor.model.settings import Settings
from monitor.model.times import DAY_MS, HOUR_MS


@pytest.mark.parametrize(
    ("expr", "expected_ms"),
    [
        ("delayed_ratio[10m:20:24h] > 2%", DAY_MS),
        ("orders[7d] > 5", 7 * DAY_MS),
        ("orders[1h] > 5", 6 * HOUR_MS),
        ("burn_rate(delivery, 3d) > 1 and burn_rate(delivery, 6h) > 1", 6 * HOUR_MS),
        ("arrival_ratio[24h] < 20%", 6 * HOUR_MS),
    ],
)
def test_only_windows_over_orders_keep_orders(expr: str, expected_ms: int) -> None:
    """A budget of three days is counted beside the orders and holds none of them."""
    rule = Rule(alert="A", expr_text=expr, expr=parse(expr).node, group="g", interval_ms=15_000)
    assert settings_for(Settings(), RuleSet((rule,))).signal_window_ms == expected_ms
