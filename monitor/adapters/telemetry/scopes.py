"""The gauges that look at orders: one pass over the observation per scrape, split by channel."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np

from monitor.adapters.telemetry.catalogue import AGES_MS, HEALTH_WINDOW, QUANTILES, WINDOWS_MS
from monitor.core.engine import Engine
from monitor.core.signals.arrays import BoolArray, FloatArray, IntArray
from monitor.core.signals.health import health_from_sums, merge_health_sums
from monitor.core.signals.observation import Observation
from monitor.core.signals.scope import Scope
from monitor.core.views.curves import ChannelCurves
from monitor.core.views.orders import LATE_RISK
from monitor.model.ids import hash64
from monitor.model.times import SECOND_MS

NAN = float("nan")


class WindowGauges(msgspec.Struct, frozen=True):
    """One channel in one window: delays in seconds by stat, and the late share; NaN for unknown."""

    delay_s: dict[str, float]
    late_ratio: float


class ChannelGauges(msgspec.Struct, frozen=True):
    """One channel now; `open_by_age` has one count per class of `AGES_MS` and one for the rest."""

    windows: dict[str, WindowGauges]
    health: float
    open_by_age: tuple[int, ...]
    oldest_age_s: float
    at_risk: int


class OrderGauges(msgspec.Struct, frozen=True):
    """All gauges that rest on orders."""

    health: float
    channels: dict[str, ChannelGauges]


def order_gauges(engine: Engine, now_ms: int) -> OrderGauges:
    """Compute all gauges at an instant; cost grows with the orders, not orders times channels."""
    rows = engine.shard.observe().with_held_judged(now_ms)
    since_ms = now_ms - WINDOWS_MS[HEALTH_WINDOW]
    at_risk = _at_risk(engine, rows, now_ms)
    channels, sums = {}, []
    for index, name in enumerate(engine.shard.channels):
        mask = np.asarray(rows.channel == index)
        scope = Scope(
            rows.where(mask), np.ones(int(mask.sum()), np.bool_), now_ms, is_by_channel=True
        )
        sums.append(scope.health(since_ms, engine.settings.health_anchors))
        health = health_from_sums(sums[-1]).value
        ages = scope.open_ages_ms()
        channels[name] = ChannelGauges(
            windows={label: _window(scope, now_ms - span) for label, span in WINDOWS_MS.items()},
            health=NAN if health is None else health,
            open_by_age=_by_age(ages),
            oldest_age_s=float(ages.max()) / SECOND_MS if len(ages) else 0.0,
            at_risk=int(np.count_nonzero(at_risk & mask)),
        )
    health = health_from_sums(merge_health_sums(sums)).value
    return OrderGauges(NAN if health is None else health, channels)


def _window(scope: Scope, since_ms: int) -> WindowGauges:
    curve = scope.curve(since_ms)
    if curve.n == 0:
        return WindowGauges(dict.fromkeys((*QUANTILES, "mean", "max"), NAN), NAN)
    delay_s = {stat: curve.quantile(q).lower_bound_s for stat, q in QUANTILES.items()}
    mean_ms = scope.delays(since_ms).mean_ms
    delay_s["mean"] = NAN if mean_ms is None else mean_ms / SECOND_MS
    delay_s["max"] = _longest_s(scope, since_ms)
    counts = scope.counts(since_ms)
    return WindowGauges(delay_s, counts.breached / counts.judged if counts.judged else NAN)


def _longest_s(scope: Scope, since_ms: int) -> float:
    """The longest wait that ended in the window or goes on."""
    rows = scope.rows
    chosen = rows.is_open | ((rows.end_ms > since_ms) & (rows.end_ms <= scope.now_ms))
    waits = rows.wait_ms(scope.now_ms)[chosen]
    return float(waits.max()) / SECOND_MS if len(waits) else NAN


def _by_age(ages_ms: IntArray) -> tuple[int, ...]:
    """Counts per class; an age of exactly a limit belongs to the class below it."""
    limits = np.array([limit_ms for _, limit_ms in AGES_MS])
    classes = np.searchsorted(limits, ages_ms, side="left")
    return tuple(np.bincount(classes, minlength=len(limits) + 1).tolist())


def _at_risk(engine: Engine, rows: Observation, now_ms: int) -> BoolArray:
    """Which open orders, still in time, will probably be late: as `GET /v1/orders?state=at_risk`."""
    in_time = rows.is_open & (rows.deadline_ms >= now_ms) & (rows.paid_ms <= now_ms)
    in_time &= ~_unheard(engine, rows)
    found = np.zeros(len(rows.key), np.bool_)
    if not in_time.any():
        return found
    for index, (times_s, survival, horizon_s) in _curves(engine, rows, now_ms):
        chosen = in_time & (rows.channel == index)
        age_s = (now_ms - rows.paid_ms[chosen]) / SECOND_MS
        limit_s = (rows.deadline_ms - rows.paid_ms)[chosen] / SECOND_MS
        waiting = survival[np.searchsorted(times_s, age_s, side="right")]
        waiting = np.where(age_s > 0, waiting, 1.0)
        later = survival[np.searchsorted(times_s, limit_s, side="right")]
        is_known = (waiting > 0) & ((age_s == 0) | (age_s < horizon_s))
        is_due = limit_s <= age_s
        found[chosen] = is_due | (is_known & (later >= LATE_RISK * waiting))
    return found


def _curves(
    engine: Engine, rows: Observation, now_ms: int
) -> Iterator[tuple[int, tuple[FloatArray, FloatArray, float]]]:
    """Per channel with open orders: steps of the survival curve of the week, S from the left."""
    curves = ChannelCurves(engine, now_ms)
    for index in np.unique(rows.channel[rows.is_open]).tolist():
        curve = curves.of(engine.shard.channels[index])
        yield index, (curve.times_s, np.concatenate([[1.0], curve.survival]), curve.horizon_s)


def _unheard(engine: Engine, rows: Observation) -> BoolArray:
    """Orders of silent sources, of which nothing is known."""
    if not any(source.is_silent for source in engine.shard.sources.values()):
        return np.zeros(len(rows.key), np.bool_)
    keys = [
        hash64(order.order_id) >> 1
        for order in engine.shard.orders.values()
        if order.is_open and engine.shard.is_source_silent(order.facts.source)
    ]
    return np.isin(rows.key, np.array(keys, np.int64))
