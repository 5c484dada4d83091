"""What the charts say, also of channels that have none yet: "38 deliveries expected, 9 seen"."""

from __future__ import annotations

import msgspec

from monitor.core.engine import Engine
from monitor.core.signals.charts import ChartReading
from monitor.core.signals.cusum import limit_of
from monitor.model.ids import ALL_ORDERS
from monitor.model.times import format_rfc3339


class ChartView(msgspec.Struct, frozen=True):
    """One chart: `expected` deliveries and `observed` ones `since` it left 0.

    `is_stalled`: the limit was passed and deliveries have not caught up yet.
    """

    cusum: float
    limit: float
    cusum_ratio: float
    is_stalled: bool
    speed_ratio: float | None
    expected: float
    observed: int
    since: str | None


def chart_readings(engine: Engine) -> dict[str, ChartReading]:
    """The charts of all channels; that of all orders (`*`) is among them if there are several."""
    charts = engine.control.charts.readings()
    names = dict.fromkeys(
        [*engine.shard.channels, *(name for name in charts if name != ALL_ORDERS)]
    )
    if len(names) > 1:
        names[ALL_ORDERS] = None
    return {name: charts.get(name) or _blank(name) for name in names}


def chart_of(engine: Engine, channel: str | None) -> ChartView:
    """The chart of one channel, or of all orders."""
    name = channel or ALL_ORDERS
    chart = engine.control.charts.readings().get(name) or _blank(name)
    is_owed = chart.cusum > 0
    return ChartView(
        cusum=chart.cusum,
        limit=chart.limit,
        cusum_ratio=chart.ratio,
        is_stalled=chart.is_alarm,
        speed_ratio=chart.speed_ratio,
        expected=max(chart.expected, 0.0) if is_owed else 0.0,
        observed=chart.observed if is_owed else 0,
        since=format_rfc3339(chart.since_ms) if is_owed else None,
    )


def _blank(channel: str) -> ChartReading:
    """The chart of a channel without orders so far."""
    return ChartReading(
        channel=channel,
        cusum=0.0,
        limit=round(limit_of(0, 0.0), 6),  # as whole millionths, like every chart
        ratio=0.0,
        is_alarm=False,
        is_broken=False,
        speed_ratio=None,
        expected=0.0,
        observed=0,
        since_ms=0,
        expected_total=0.0,
        observed_total=0,
    )
