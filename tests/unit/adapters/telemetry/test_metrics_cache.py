"""Scrapes that come close together cost one exposition."""

import pytest

from monitor.adapters.telemetry.metrics import FRESH_MS, MetricsCollector
from monitor.api.left_out import LeftOut
from monitor.core.engine import Engine
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings
from monitor.model.times import UnixMs
from tests.unit.adapters.telemetry.test_metrics import Process

START_MS = 1_767_578_400_000  # 2026-01-05T02:00:00Z


class World(Process):
    """A clock, and a process whose loop lag is what the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.at_ms = START_MS
        self.lag_s = 0.25
        self.left_out = LeftOut()

    def now_ms(self) -> UnixMs:
        return UnixMs(self.at_ms)

    def loop_lag_s(self) -> float:
        return self.lag_s


@pytest.mark.parametrize(
    ("later_ms", "lag"), [(0, b"0.25"), (FRESH_MS - 1, b"0.25"), (FRESH_MS, b"0.5"), (-1, b"0.5")]
)
def test_exposition_is_at_most_a_second_old(later_ms: int, lag: bytes) -> None:
    """The next scrape sees the state of then; also when the clock was set back."""
    world = World()
    collector = MetricsCollector(Engine(Settings(), RuleSet()), world, world)
    assert b"delivery_monitor_loop_lag_seconds 0.25" in collector.render()
    world.at_ms += later_ms
    world.lag_s = 0.5
    assert b"delivery_monitor_loop_lag_seconds " + lag in collector.render()
