"""Simulated outages and healthy months, seen by the charts the product uses.

The baseline is learned, the increments made and C walked by the production code; here are only the
shops, the faults and the counting. Many shops at once go through `increments` and `paths`; a live
chart goes through `Ledger.step`, which tests prove to say the same, instant by instant. Caution, which
raises limits until a week is learned, and the guard, which wants deliveries missing and not only late,
are not in it: they make pages fewer or later. The engine rows of `bench_messages` have both. A page is C above its limit at an evaluation, one every 5 s, and
it lasts until C is below half of it, as in the shipped rule.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks import shop
from monitor.core.signals.arrays import BoolArray, FloatArray, IntArray
from monitor.core.signals.baseline import learn
from monitor.core.signals.charts import STEP_MS
from monitor.core.signals.cusum import Position, limit_of, paths
from monitor.core.signals.hazard import UNIT, Hazard, Hazards
from monitor.core.signals.histogram import BUCKETS, bucket_indices
from monitor.core.signals.ledger import Waits, increments
from monitor.core.signals.paces import PaceRow, Paces
from monitor.model.baselines import Baseline
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS

CHANNEL = "simulated"
HISTORY_MS = 28 * DAY_MS
WARM_MS = 30 * MINUTE_MS
FAULT_MS = shop.START_MS + WARM_MS
DELIVERED_WINDOW_MS = 5 * MINUTE_MS
PROMISE_MS = 3 * MINUTE_MS

CANARY_TIMES = 3
"""Orders of a shop with canaries count three times in its limit (+ ln 3): it is asked all night."""

Increments = Callable[[Waits, IntArray, Hazards], tuple[IntArray, IntArray]]


def monthly(per_minute: float) -> int:
    """Orders of 30 days at a rate."""
    return round(per_minute * 30 * DAY_MS / MINUTE_MS)


def paces_of(orders: shop.Orders) -> Paces:
    """The finished orders as the shards would have counted them."""
    hours = orders.delivered_ms // HOUR_MS
    keys, counts = np.unique(
        hours * BUCKETS + bucket_indices(orders.delivered_ms - orders.paid_ms), return_counts=True
    )
    by_hour: dict[int, list[tuple[int, int]]] = {}
    for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
        by_hour.setdefault(key // BUCKETS * HOUR_MS, []).append((key % BUCKETS, count))
    return Paces([PaceRow(hour, CHANNEL, tuple(pairs)) for hour, pairs in by_hour.items()])


def learned(
    rng: np.random.Generator, per_minute: float, *, orders_30d: int, span_ms: int = HISTORY_MS
) -> Baseline:
    """A baseline of a healthy month, made by the product's own learning."""
    history = shop.healthy(rng, per_minute, span_ms, start_ms=shop.START_MS - span_ms)
    baseline = learn(
        None, paces_of(history), CHANNEL, excluded_hours=(), peak=0.0,
        orders_30d=orders_30d, offsets=(), now_ms=shop.START_MS + HOUR_MS,
    )  # fmt: skip
    assert baseline is not None
    return baseline


def faults_ms(rng: np.random.Generator, runs: int, step_ms: int = STEP_MS) -> IntArray:
    """When each run breaks: anywhere between two evaluations. Shapes: int64[runs]."""
    return FAULT_MS + rng.integers(0, step_ms, runs)


def seconds_to_page(
    waits: Waits,
    faults: IntArray,
    baseline: Baseline,
    horizon_ms: int,
    step_ms: int = STEP_MS,
    made: Increments = increments,
) -> FloatArray:
    """Time from the fault to the first page after it in each run; infinity where none came.

    Shapes: faults int64[runs] → float64[runs].
    """
    runs = len(faults)
    edges = np.arange(shop.START_MS, FAULT_MS + horizon_ms, step_ms)
    hazards = Hazards.of([Hazard.of(baseline)] * runs)
    limit = round(baseline.limit * UNIT)
    walked, _ = paths(Position.zero(runs), *made(waits, edges, hazards), np.full(runs, limit))
    is_paged = (walked > limit) & (edges[1:] > faults[:, None])
    seconds = (edges[1:][is_paged.argmax(axis=1)] - faults) / 1000.0
    return np.where(is_paged.any(axis=1), seconds, np.inf)


def pages(
    waits: Waits, baseline: Baseline, *, charts: int, span_ms: int, made: Increments = increments
) -> tuple[int, FloatArray]:
    """Pages of all charts together over a healthy span, and the highest C of each day.

    Shapes: float64[days].
    """
    hazards = Hazards.of([Hazard.of(baseline)] * charts)
    limit = round(baseline.limit * UNIT)
    start, is_on = Position.zero(charts), np.zeros(charts, np.bool_)
    count, peaks = 0, []
    for begin in range(shop.START_MS, shop.START_MS + span_ms, DAY_MS):
        edges = np.arange(begin, begin + DAY_MS + 1, STEP_MS)
        alive = (waits.paid_ms < edges[-1]) & (waits.leave_ms > edges[0])
        today = Waits(
            waits.paid_ms[alive], waits.leave_ms[alive],
            waits.is_delivered[alive], waits.channel[alive],
        )  # fmt: skip
        walked, start = paths(start, *made(today, edges, hazards), np.full(charts, limit))
        peaks.append(walked.max() / UNIT)
        for chart in np.flatnonzero((walked > limit).any(axis=1) | is_on):
            onsets, is_on[chart] = _onsets(walked[chart], limit, is_on=bool(is_on[chart]))
            count += onsets
    return count, np.array(peaks)


def _onsets(walked: IntArray, limit: int, *, is_on: bool) -> tuple[int, bool]:
    """How often a chart begins to page, and whether it pages at the end."""
    count, at = 0, 0
    while True:
        moved = (walked[at:] * 2 < limit) if is_on else (walked[at:] > limit)
        if not moved.any():
            return count, is_on
        at += int(moved.argmax())
        is_on = not is_on
        count += is_on


def raised(baseline: Baseline, waits: Waits, span_ms: int) -> Baseline:
    """The baseline with the limit that its chart's days of health teach, learned once a day."""
    highest = 0.0
    for begin in range(0, span_ms, DAY_MS):
        # Each day again from its own midnight: C is 0 most of the time.
        shifted = Waits(
            waits.paid_ms - begin, np.minimum(waits.leave_ms, shop.NEVER_MS) - begin,
            waits.is_delivered, waits.channel,
        )  # fmt: skip
        _, peaks = pages(shifted, baseline, charts=1, span_ms=DAY_MS)
        highest = max(highest, float(peaks.max()))
        limit = limit_of(baseline.orders_30d, highest)
        baseline = with_limit(baseline, limit, highest)
    return baseline


def with_limit(baseline: Baseline, limit: float, peak: float) -> Baseline:
    """The same history with another limit."""
    fields = {name: getattr(baseline, name) for name in baseline.__struct_fields__}
    return Baseline(**{**fields, "limit": limit, "peak": peak})


def delivered_only(waits: Waits, runs: int, horizon_ms: int) -> tuple[BoolArray, BoolArray]:
    """Whether rules over delivered orders fire after the fault: mean > 3 min, late share > 2 %.

    Shapes: bool[runs] twice; windows of 5 min, looked at every 5 s.
    """
    edges = np.arange(FAULT_MS - DELIVERED_WINDOW_MS, FAULT_MS + horizon_ms, STEP_MS)
    step = np.searchsorted(edges, waits.leave_ms, side="left") - 1
    seen = waits.is_delivered & (step >= 0) & (step < len(edges) - 1)
    cell = (waits.channel[seen], step[seen] + 1)
    delay = (waits.leave_ms - waits.paid_ms)[seen]
    sums = []
    for values in (np.ones(len(delay)), delay, delay > PROMISE_MS):
        table = np.zeros((runs, len(edges)))
        np.add.at(table, cell, values)
        total = np.cumsum(table, axis=1)
        width = DELIVERED_WINDOW_MS // STEP_MS
        sums.append(total[:, width:] - total[:, :-width])
    n = np.maximum(sums[0], 1.0)
    by_mean, by_share = sums[1] / n > PROMISE_MS, sums[2] / n > 0.02
    return np.asarray(by_mean.any(axis=1)), np.asarray(by_share.any(axis=1))
