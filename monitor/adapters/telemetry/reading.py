"""What is exported as OTLP metrics, taken from the engine at one instant as plain values."""

from __future__ import annotations

import msgspec

from monitor.adapters.telemetry.catalogue import AGES_MS, OLDEST
from monitor.adapters.telemetry.scopes import order_gauges
from monitor.core.engine import Engine
from monitor.core.signals.histogram import LogHistogram
from monitor.core.views.charts import chart_readings
from monitor.model.ids import ALL_ORDERS


class Reading(msgspec.Struct, frozen=True):
    """Delays by channel since ever, health by scope, orders that wait by (channel, age).

    `expected` and `observed` deliveries since ever, and how far they lie apart (`cusum`), each by
    channel; `*` is all orders and there when there are several.
    """

    at_ms: int
    delays: dict[str, LogHistogram]
    health: dict[str, float | None]
    open_orders: dict[tuple[str, str], int]
    expected: dict[str, float]
    observed: dict[str, int]
    cusum: dict[str, float]
    cusum_limit: dict[str, float]


def read(engine: Engine, now_ms: int) -> Reading:
    """Everything at this instant; to be called where the engine lives, costs as much as a scrape."""
    totals = engine.shard.totals.delays
    gauges, charts = order_gauges(engine, now_ms), chart_readings(engine)
    health = {ALL_ORDERS: gauges.health} | {
        channel: now.health for channel, now in gauges.channels.items()
    }
    ages = (*(age for age, _ in AGES_MS), OLDEST)
    return Reading(
        at_ms=now_ms,
        delays={
            channel: totals[channel].histogram() if channel in totals else LogHistogram.empty()
            for channel in dict.fromkeys([*engine.shard.channels, *totals])
        },
        health={
            scope: value if value == value else None  # noqa: PLR0124 - NaN, idle
            for scope, value in health.items()
        },
        open_orders={
            (channel, age): count
            for channel, now in gauges.channels.items()
            for age, count in zip(ages, now.open_by_age, strict=True)
        },
        expected={name: chart.expected_total for name, chart in charts.items()},
        observed={name: chart.observed_total for name, chart in charts.items()},
        cusum={name: chart.cusum for name, chart in charts.items()},
        cusum_limit={name: chart.limit for name, chart in charts.items()},
    )
