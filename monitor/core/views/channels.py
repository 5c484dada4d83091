"""Channels: the share of the route, the breaker's evidence, the chart, and what was learned."""

from __future__ import annotations

import msgspec

from monitor.core.engine import Engine
from monitor.core.failover.breaker import ChannelSpeed
from monitor.core.signals.cusum import is_learned
from monitor.core.views.charts import ChartView, chart_of
from monitor.model.baselines import Baseline
from monitor.model.times import SECOND_MS, format_rfc3339


class BaselineView(msgspec.Struct, frozen=True):
    """What was learned of a channel and where that comes from; `limit` is that of its chart.

    `n` orders from `from` to `to` were learned, without `excluded_hours` hours of incidents;
    `is_whole`: they span a week, so that the limit needs no caution any more.
    """

    n: int
    from_at: str = msgspec.field(name="from")
    to_at: str = msgspec.field(name="to")
    method: str
    limit: float
    excluded_hours: int
    orders_30d: int
    learned_at: str
    is_whole: bool


class ExecutorView(msgspec.Struct, frozen=True):
    """How the executor goes about a channel that it may deliver through.

    `under_way` of `slots` attempts are submitted and unanswered, `open` are all whose outcome is not
    known, `waiting` cases stand in its queue. `retries_left` counts what may be tried again now;
    `throttled_until` is when a channel that asked to be left alone is asked again.
    """

    under_way: int
    slots: int
    open: int
    waiting: int
    retries_left: int
    throttled_until: str | None


class ChannelView(msgspec.Struct, frozen=True):
    """One channel: its share of the route, the breaker's evidence, and the chart's.

    `baseline` is null while nothing was learned of the channel: then the usual priors stand in.
    """

    name: str
    kind: str
    state: str
    weight: int
    locked: str | None
    drained: str | None
    speed: ChannelSpeed
    p95_s: float | None
    cusum_ratio: float
    chart: ChartView
    baseline: BaselineView | None
    executor: ExecutorView | None


def channels(engine: Engine, now_ms: int) -> list[ChannelView]:
    """All known channels, configured ones first."""
    speeds = engine.control.speeds(engine.view(now_ms))
    weights = engine.control.controller.weights(engine.shard.channels)
    kinds = {channel.name: channel.kind for channel in engine.settings.channels}
    route = engine.route
    views = []
    for name, speed in speeds.items():
        chart = chart_of(engine, name)
        p95_ms = engine.shard.history.p95_ms(name, now_ms)
        views.append(
            ChannelView(
                name=name,
                kind=kinds.get(name, "external"),
                state=_channel_state(name, speed, engine),
                weight=weights.get(name, 0),
                locked=route.locked.get(name),
                drained=route.drained.get(name),
                speed=speed,
                p95_s=None if p95_ms is None else p95_ms / SECOND_MS,
                cusum_ratio=chart.cusum_ratio,
                chart=chart,
                baseline=_baseline(engine.control.baselines.get(name)),
                executor=_executor(engine, name, now_ms),
            )
        )
    return views


def _executor(engine: Engine, name: str, now_ms: int) -> ExecutorView | None:
    if name not in engine.settings.fallback.order:
        return None
    desk = engine.desk
    pace = desk.pace.of(name)
    until_ms = pace.throttled_until_ms
    return ExecutorView(
        under_way=desk.pace.under_way.get(name, 0),
        slots=pace.slots,
        open=desk.pace.ambiguous.get(name, 0),
        waiting=desk.queues.count(name),
        retries_left=pace.retries_left(now_ms),
        throttled_until=format_rfc3339(until_ms) if until_ms > now_ms else None,
    )


def _baseline(learned: Baseline | None) -> BaselineView | None:
    if learned is None:
        return None
    return BaselineView(
        n=learned.n,
        from_at=format_rfc3339(learned.from_ms),
        to_at=format_rfc3339(learned.to_ms),
        method=learned.method,
        limit=learned.limit,
        excluded_hours=learned.excluded_hours,
        orders_30d=learned.orders_30d,
        learned_at=format_rfc3339(learned.learned_ms),
        is_whole=is_learned(learned),
    )


def _channel_state(name: str, speed: ChannelSpeed, engine: Engine) -> str:
    if name in engine.route.drained:
        return "drained"
    if speed.is_tripped:
        return "open"  # the breaker's word: open means no traffic should flow
    return "idle" if speed.n == 0 and speed.open_orders == 0 else "closed"
