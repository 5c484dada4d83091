"""The numbers of one scope in one window: verdicts, percentiles, evidence, and what is owed."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from monitor.core.engine import Engine
from monitor.core.signals.evidence import jeffreys_above, wilson_interval
from monitor.core.signals.health import HealthIndex, health_from_sums
from monitor.core.signals.observation import Observation
from monitor.core.signals.scope import Counts, Scope
from monitor.core.views.arrivals import shop_arrival_ratio
from monitor.core.views.charts import ChartView, chart_of
from monitor.core.views.percentiles import PercentileView, mean_lower_bound_s, percentiles
from monitor.model.times import MINUTE_MS, SECOND_MS, format_duration

LATE_TARGET = 0.02  # the share of late orders that no shop wants to exceed
MEAN_TAU_MS = 30 * MINUTE_MS


class SignalsView(msgspec.Struct, frozen=True):
    """Signals of one scope in one window.

    `delayed_ratio` has its 99 % Wilson interval and, of Jeffreys' posterior, the probability that
    the true share is above the target of 2 %. The restricted mean is that of min(delay, tau). What
    was taken over is censored in a channel's percentiles, and not in those of all orders.

    `expected` deliveries and `observed` ones are counted since the chart left 0; 0 while it stands
    there. `speed_ratio` is null while too few are expected; `arrival_ratio` is the whole shop's.
    """

    scope: str
    window: str
    verdicts: Counts
    judged: int
    breached: int
    delayed_ratio: float | None
    delayed_ratio_interval: tuple[float, float] | None
    jeffreys_p_over_target: float | None
    bad_ratio: float | None
    delay_s: dict[str, PercentileView]
    n_events: int
    n_censored: int
    mean_delay_s: float | None
    mean_restricted_s: float | None
    mean_restricted_tau_s: float
    mean_lower_bound_s: float | None
    open_orders: int
    oldest_age_s: float | None
    throughput_per_s: float
    health_index: HealthIndex
    cusum_ratio: float
    speed_ratio: float | None
    expected: float
    observed: int
    arrival_ratio: float | None = None


def scope_of(engine: Engine, channel: str | None, now_ms: int) -> Scope:
    """All orders, or those of one channel; held overdue ones count as late here (display)."""
    rows = engine.shard.observe().with_held_judged(now_ms)
    return _part_of(engine, rows, channel, now_ms)


def health(engine: Engine, channel: str | None, window_ms: int, now_ms: int) -> HealthIndex:
    """Delivery-health index of a scope with its components."""
    return health_from_sums(
        scope_of(engine, channel, now_ms).health(now_ms - window_ms, engine.settings.health_anchors)
    )


def signals(
    engine: Engine,
    channel: str | None,
    window_ms: int,
    now_ms: int,
    *,
    tau_ms: int = MEAN_TAU_MS,
) -> SignalsView:
    """All signals of a scope in a window; `tau_ms` bounds the restricted mean."""
    return signals_by_scope(engine, [channel], window_ms, now_ms, tau_ms=tau_ms)[0]


def signals_by_scope(
    engine: Engine,
    channels: Sequence[str | None],
    window_ms: int,
    now_ms: int,
    *,
    tau_ms: int = MEAN_TAU_MS,
) -> list[SignalsView]:
    """`signals` of many scopes at one instant; the orders are judged and sorted only once."""
    rows = engine.shard.observe().with_held_judged(now_ms)
    scopes = [(_part_of(engine, rows, channel, now_ms), channel) for channel in channels]
    arrival_ratio = shop_arrival_ratio(engine, now_ms)
    return [
        _signals(
            engine,
            scope,
            window_ms,
            tau_ms / SECOND_MS,
            name=channel or "all",
            chart=chart_of(engine, channel),
            arrival_ratio=arrival_ratio if channel is None else None,
        )
        for scope, channel in scopes
    ]


def _part_of(engine: Engine, rows: Observation, channel: str | None, now_ms: int) -> Scope:
    if channel is not None:
        known = engine.shard.channels
        rows = rows.where(rows.channel == (known.index(channel) if channel in known else -1))
    mask = np.ones(len(rows.channel), np.bool_)
    return Scope(rows, mask, now_ms, is_by_channel=channel is not None)


def _signals(
    engine: Engine,
    scope: Scope,
    window_ms: int,
    tau_s: float,
    *,
    name: str,
    chart: ChartView,
    arrival_ratio: float | None,
) -> SignalsView:
    since_ms = scope.now_ms - window_ms
    counts, delays, curve = scope.counts(since_ms), scope.delays(since_ms), scope.curve(since_ms)
    ages = scope.open_ages_ms()
    judged = counts.judged
    return SignalsView(
        scope=name,
        window=format_duration(window_ms),
        verdicts=counts,
        judged=judged,
        breached=counts.breached,
        delayed_ratio=counts.breached / judged if judged else None,
        delayed_ratio_interval=wilson_interval(counts.breached, judged) if judged else None,
        jeffreys_p_over_target=jeffreys_above(counts.breached, judged, LATE_TARGET)
        if judged
        else None,
        bad_ratio=(judged - counts.good) / judged if judged else None,
        delay_s=percentiles(curve),
        n_events=curve.n_events,
        n_censored=curve.n_censored,
        mean_delay_s=None if delays.mean_ms is None else delays.mean_ms / SECOND_MS,
        mean_restricted_s=curve.restricted_mean(tau_s),
        mean_restricted_tau_s=tau_s,
        mean_lower_bound_s=mean_lower_bound_s(scope, since_ms),
        open_orders=len(ages),
        oldest_age_s=float(ages.max()) / SECOND_MS if len(ages) else None,
        throughput_per_s=scope.delivered_since(since_ms) / (window_ms / SECOND_MS),
        health_index=health_from_sums(scope.health(since_ms, engine.settings.health_anchors)),
        cusum_ratio=chart.cusum_ratio,
        speed_ratio=chart.speed_ratio,
        expected=chart.expected,
        observed=chart.observed,
        arrival_ratio=arrival_ratio,
    )
