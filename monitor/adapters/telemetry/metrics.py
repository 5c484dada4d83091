"""`/metrics`: the engine's counters and, computed at each scrape, gauges over its orders.

Counters are part of the engine's state, so a restart is no counter reset. Every series of what is
configured is there from the start, because a series that appears later hides its first increase.
Nothing is counted here a second time: this reads `Totals` and the same scopes that rules read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate, product
from typing import Protocol

import msgspec

from monitor import __version__
from monitor.adapters.egress import BLOCKED_REASONS
from monitor.adapters.telemetry.catalogue import (
    AGES_MS,
    CATALOGUE,
    CHANNEL_STATES,
    FAMILIES,
    OLDEST,
)
from monitor.adapters.telemetry.scopes import NAN, order_gauges
from monitor.core.engine import Engine
from monitor.core.orders.lifecycle import Verdict
from monitor.core.orders.totals import EDGES_MS, DelayTotals
from monitor.core.views.arrivals import arrivals, callbacks
from monitor.core.views.budgets import slos
from monitor.core.views.channels import channels as channel_views
from monitor.core.views.charts import chart_readings
from monitor.model.alerts import AlertState
from monitor.model.events import EventType
from monitor.model.faults import Fault
from monitor.model.ids import ALL_ORDERS, DEFAULT_SOURCE
from monitor.model.takeovers import AttemptState, CaseState
from monitor.model.times import SECOND_MS
from monitor.ports import Clock

FRESH_MS = SECOND_MS
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# What an order can be counted as (`Totals.count_order`); unpaid and undecided never are.
_VERDICTS = [one for one in Verdict if one not in (Verdict.UNPAID, Verdict.UNDECIDED)]
_TAKEOVER_ENDS = (CaseState.DELIVERED, CaseState.ESCALATED, CaseState.VOIDED)

NO_CHANNEL = "none"  # a takeover that ended before any channel was tried
_TAKEN = ("accepted", "duplicate")

Sample = tuple[str, tuple[str, ...], float]  # suffix of the name, label values, value
Row = tuple[str, str, tuple[str, ...], float]  # the same behind the family's name


class WriteTimes(msgspec.Struct, frozen=True):
    """Durable writes so far, and recent quantiles in seconds; None before the first."""

    count: int
    sum_s: float
    p50_s: float | None
    p99_s: float | None
    sync: WriteTimes | None = None  # the part that waited for the disk


class Durations(Protocol):
    """How long something took, again and again, in seconds."""

    count: int
    sum_s: float

    def quantile(self, share: float) -> float | None:
        """Of the recent ones; None before the first."""
        ...


def write_times(commits: Durations, syncs: Durations) -> WriteTimes:
    """What the metrics show of durable writes and of the syncs in them."""
    synced = WriteTimes(syncs.count, syncs.sum_s, syncs.quantile(0.5), syncs.quantile(0.99))
    return WriteTimes(
        commits.count, commits.sum_s, commits.quantile(0.5), commits.quantile(0.99), synced
    )


class LeftOut(Protocol):
    """What the intake did not take since the process started."""

    @property
    def rejected(self) -> Mapping[str, int]:
        """Events by source."""
        ...

    @property
    def ignored_fields(self) -> int:
        """Fields of events."""
        ...

    @property
    def shed(self) -> Mapping[str, int]:
        """What was given up because it was too much, by kind."""
        ...


class RuntimeStats(Protocol):
    """What the process knows of itself; answers come from memory, without waiting."""

    @property
    def left_out(self) -> LeftOut:
        """What the intake did not take."""
        ...

    @property
    def blocked(self) -> Mapping[str, int]:
        """Requests to the outside that were refused, by reason."""
        ...

    def outbox_rows(self) -> Mapping[str, int]:
        """Rows waiting or under way by lane, as last seen."""
        ...

    def write_times(self) -> WriteTimes | None:
        """How long durable writes take; None while there is no store."""
        ...

    def loop_lag_s(self) -> float:
        """How late the loop woke up from its latest wait, in seconds."""
        ...


class MetricsCollector:
    """Renders the exposition; call it where the engine lives, it reads the engine's state."""

    def __init__(self, engine: Engine, clock: Clock, stats_provider: RuntimeStats) -> None:
        self._engine = engine
        self._clock = clock
        self._stats = stats_provider
        self._rendered = (0, b"")  # when, and what

    def render(self) -> bytes:
        """The exposition in Prometheus' text format, for `CONTENT_TYPE`; at most 1 s old.

        However many scrape, and however often, the event loop pays for one exposition a second.
        """
        now_ms = self._clock.now_ms()
        at_ms, body = self._rendered
        if not body or not 0 <= now_ms - at_ms < FRESH_MS:
            body = self._render(now_ms)
            self._rendered = (now_ms, body)
        return body

    def _render(self, now_ms: int) -> bytes:
        # Imported at the first scrape: 15 MB that a monitor nobody scrapes need not spend.
        from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415
        from prometheus_client.metrics_core import Metric  # noqa: PLC0415

        samples = collect(self._engine, now_ms, self._stats)
        families = []
        for family in CATALOGUE:
            metric = Metric(family.name.removesuffix("_total"), family.help, family.kind)
            for suffix, values, value in samples[family.name]:
                names = (*family.labels, *_EXTRA_LABELS.get((family.kind, suffix), ()))
                metric.add_sample(
                    family.name + suffix, dict(zip(names, values, strict=True)), value
                )
            families.append(metric)

        class Once:
            """The families of this one scrape, as the library wants them."""

            def collect(self) -> Iterable[Metric]:
                return families

        registry = CollectorRegistry(auto_describe=False)
        registry.register(Once())
        return generate_latest(registry)


# Labels a kind of sample has beyond those of its family.
_EXTRA_LABELS = {("histogram", "_bucket"): ("le",), ("summary", ""): ("quantile",)}


def collect(engine: Engine, now_ms: int, stats: RuntimeStats) -> dict[str, list[Sample]]:
    """All samples by family name; a function of the state and the time."""
    samples: dict[str, list[Sample]] = {family.name: [] for family in CATALOGUE}
    for part in (
        _counters(engine),
        _delays(engine),
        _orders(engine, now_ms),
        _channels(engine, now_ms),
        _charts(engine),
        _shares(engine, now_ms),
        _decisions(engine),
        _left_out(engine, stats.left_out),
        _process(stats),
    ):
        for name, suffix, values, value in part:
            samples[name].append((suffix, values, value))
    return samples


def _counters(engine: Engine) -> Iterator[Row]:
    totals, settings, shard = engine.shard.totals, engine.settings, engine.shard
    sources = list(shard.sources) or [DEFAULT_SOURCE]
    names = [one.name for one in settings.receivers] + [one.name for one in settings.webhooks]
    expected: tuple[tuple[str, dict[str, int], Iterable[tuple[str, ...]]], ...] = (
        ("delivery_events_total", totals.events, product(sources, EventType, _TAKEN)),
        ("delivery_orders_total", totals.orders, product(shard.channels, _VERDICTS)),
        (
            "delivery_takeovers_total",
            totals.takeovers,
            product((NO_CHANNEL, *settings.fallback.order), _TAKEOVER_ENDS),
        ),
        (
            "delivery_notifications_total",
            totals.notifications,
            product(names, ("ok", "failed")),
        ),
    )
    for name, counter, from_the_start in expected:
        counts = dict.fromkeys(from_the_start, 0)
        # From the right: only the first label is a word of the outside, which may hold a tab.
        more = len(FAMILIES[name].labels) - 1
        counts |= {tuple(key.rsplit("\t", more)): count for key, count in counter.items()}
        yield from ((name, "", values, count) for values, count in counts.items())
    yield "delivery_double_deliveries_total", "", (), totals.double_deliveries
    yield "delivery_monitor_invariant_violations", "", (), totals.invariant_violations
    for fault in Fault:
        yield "delivery_shop_faults_total", "", (fault.value,), totals.faults.get(fault, 0)
    for label in ("channel", "source", "series"):
        count = totals.overflow.get(label, 0)
        yield "delivery_monitor_label_overflow_total", "", (label,), count
    refused = engine.control.watch.refused  # not decided, so the log does not tell of it
    yield "delivery_monitor_label_overflow_total", "", ("alerts",), refused


def _delays(engine: Engine) -> Iterator[Row]:
    name = "delivery_delay_seconds"
    none = DelayTotals([0] * (len(EDGES_MS) + 1))
    for channel in dict.fromkeys([*engine.shard.channels, *engine.shard.totals.delays]):
        delays = engine.shard.totals.delays.get(channel, none)
        cumulated = list(accumulate(delays.counts))
        for edge_ms, count in zip(EDGES_MS, cumulated, strict=False):
            yield name, "_bucket", (channel, str(edge_ms / SECOND_MS)), count
        yield name, "_bucket", (channel, "+Inf"), cumulated[-1]
        yield name, "_count", (channel,), cumulated[-1]
        yield name, "_sum", (channel,), delays.sum_ms / SECOND_MS


def _orders(engine: Engine, now_ms: int) -> Iterator[Row]:
    gauges = order_gauges(engine, now_ms)
    yield "delivery_health_index", "", (ALL_ORDERS,), gauges.health
    for channel, now in gauges.channels.items():
        yield "delivery_health_index", "", (channel,), now.health
        yield "delivery_oldest_open_order_age_seconds", "", (channel,), now.oldest_age_s
        yield "delivery_at_risk_orders", "", (channel,), now.at_risk
        for (age, _), count in zip((*AGES_MS, (OLDEST, 0)), now.open_by_age, strict=True):
            yield "delivery_open_orders", "", (channel, age), count
        for window, inside in now.windows.items():
            yield "delivery_late_ratio", "", (channel, window), inside.late_ratio
            for stat, delay_s in inside.delay_s.items():
                yield "delivery_delay_window_seconds", "", (channel, window, stat), delay_s


def _channels(engine: Engine, now_ms: int) -> Iterator[Row]:
    for view in channel_views(engine, now_ms):
        yield "delivery_channel_weight_ratio", "", (view.name,), view.weight / 100
        for state in CHANNEL_STATES:
            yield "delivery_channel_state", "", (view.name, state), float(view.state == state)


def _charts(engine: Engine) -> Iterator[Row]:
    for name, chart in chart_readings(engine).items():
        labels = (name,)
        yield "delivery_expected_total", "", labels, chart.expected_total
        yield "delivery_observed_total", "", labels, chart.observed_total
        yield "delivery_cusum", "", labels, chart.cusum
        yield "delivery_cusum_limit", "", labels, chart.limit
        yield "delivery_speed_ratio", "", labels, _or_nan(chart.speed_ratio)


def _shares(engine: Engine, now_ms: int) -> Iterator[Row]:
    """Orders and payments against those expected, and budgets."""
    for source in arrivals(engine, now_ms):
        yield "delivery_arrival_ratio", "", (source.source,), _or_nan(source.ratio)
    for provider in callbacks(engine, now_ms):
        yield "delivery_paid_ratio", "", (provider.provider,), _or_nan(provider.ratio)
    for slo in slos(engine, now_ms):
        left = _or_nan(slo.budget_remaining)
        yield "delivery_slo_budget_remaining_ratio", "", (slo.slo,), left
        for window, burn in slo.burn_rates.items():
            yield "delivery_slo_burn_rate", "", (slo.slo, window), _or_nan(burn.rate)


def _or_nan(value: float | None) -> float:
    return NAN if value is None else value


def _decisions(engine: Engine) -> Iterator[Row]:
    yield "delivery_switch_epoch", "", (ALL_ORDERS,), engine.route.epoch
    counts = Counter((one.rule, one.state) for one in engine.control.alerts.values())
    names = [rule.alert for rule in engine.control.rules.rules]
    for key in product(names, (AlertState.PENDING, AlertState.FIRING)):
        yield "delivery_alerts", "", key, counts[key]
    open_cases = [case for case in engine.desk.cases.values() if case.resolution is None]
    ambiguous = [
        case
        for case in open_cases
        if any(attempt.state == AttemptState.UNKNOWN for attempt in case.attempts)
    ]
    yield "delivery_ambiguous_open", "", (), len(ambiguous)


def _left_out(engine: Engine, left_out: LeftOut) -> Iterator[Row]:
    for source in dict.fromkeys([*(engine.shard.sources or (DEFAULT_SOURCE,)), *left_out.rejected]):
        labels = (source, "unknown", "rejected")
        yield "delivery_events_total", "", labels, left_out.rejected.get(source, 0)
    yield "delivery_monitor_ignored_fields_total", "", (), left_out.ignored_fields
    for what, count in left_out.shed.items():
        yield "delivery_monitor_shed_total", "", (what,), count


def _process(stats: RuntimeStats) -> Iterator[Row]:
    for lane, rows in stats.outbox_rows().items():
        yield "delivery_monitor_outbox_rows", "", (lane,), rows
    times = stats.write_times()
    yield from _summary("delivery_monitor_commit_seconds", times)
    yield from _summary("delivery_monitor_fsync_seconds", times.sync if times else None)
    yield "delivery_monitor_loop_lag_seconds", "", (), stats.loop_lag_s()
    for reason in BLOCKED_REASONS:
        yield "delivery_monitor_egress_blocked_total", "", (reason,), stats.blocked.get(reason, 0)
    yield "delivery_monitor_build_info", "", (__version__,), 1


def _summary(name: str, times: WriteTimes | None) -> Iterator[Row]:
    shown = times or WriteTimes(0, 0.0, None, None)
    for quantile, value_s in (("0.5", shown.p50_s), ("0.99", shown.p99_s)):
        yield name, "", (quantile,), NAN if value_s is None else value_s
    yield name, "_count", (), shown.count
    yield name, "_sum", (), shown.sum_s
