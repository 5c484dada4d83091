"""The fast alarm: deliveries seen against deliveries a healthy channel owes, as a survival CUSUM.

    C <- min(1.5 h, max(0, C + (1 - ρ) dE + ln ρ · dO))        alarm: C > h      clear: C < h/2

dE is what orders in flight were expected to bring (`hazard`), dO what was delivered, ρ = 0.2 the
speed to be told from health: a channel at a fifth of its speed. In health O - E is a martingale and
C falls; in an outage C grows by 0.8 per delivery owed, long before any promise breaks. Nothing older
than an excursion counts, and above 1.5 h C does not grow, so that it clears soon after the recovery.

C and its limits are integers (1e-6): a path computed at once equals the path walked step by step.

Sources: Gandy, Kvaløy, Bottle, Zhou, Risk-adjusted monitoring of time to event, Biometrika 2010;
limit by G. Lorden 1971: with h = ln N a healthy chart runs for N orders at least, in the mean.
"""

from __future__ import annotations

from math import log

import numpy as np

from monitor.core.signals.arrays import IntArray
from monitor.core.signals.hazard import UNIT
from monitor.model.baselines import Baseline
from monitor.model.times import DAY_MS

SPEED_RATIO = 0.2
ORDERS_30D_MIN = 1_000
PEAK_FACTOR = 1.2
LEARNED_AFTER_MS = 7 * DAY_MS
GUARD_RATIO = 0.35
"""Until a week is learned an alarm also needs fewer deliveries than this share of those owed."""

_OWED = 4  # (1 - 0.2) · 5
_OWED_OF = 5
_SEEN = round(-log(SPEED_RATIO) * UNIT)


def climb(expected: IntArray, observed: IntArray) -> IntArray:
    """What C gains from dE (in 1e-6) and dO, before it is kept between 0 and its cap; any shape."""
    return expected * _OWED // _OWED_OF - observed * _SEEN


def cap_of(limit: int) -> int:
    """The value above which C does not grow."""
    return limit * 3 // 2


def path(start: IntArray, climbs: IntArray, caps: IntArray) -> IntArray:
    """C after each step of many charts.

    Shapes: int64[charts], int64[charts, steps], int64[charts] → int64[charts, steps].
    """
    sums = np.cumsum(climbs, axis=1)
    lowest = np.minimum(np.minimum.accumulate(sums, axis=1), -start[:, None])
    walked = sums - lowest
    high = np.flatnonzero((walked > caps[:, None]).any(axis=1) | (start > caps))
    value, steps = start[high], climbs[high]
    for step in range(climbs.shape[1] if high.size else 0):  # the cap has no closed form
        value = np.minimum(np.maximum(value + steps[:, step], 0), caps[high])
        walked[high, step] = value
    return walked


def limit_of(orders_30d: int, peak: float) -> float:
    """The limit h of a chart: one false alarm in 30 days at most, and above what health has shown.

    `orders_30d` are those of the whole shop, in every chart: the charts of its channels then raise
    no more than one together. `peak` is the highest C outside incidents.
    """
    return max(log(max(orders_30d, ORDERS_30D_MIN)), PEAK_FACTOR * peak)


def is_learned(baseline: Baseline | None) -> bool:
    """Whether a week of history stands behind a limit; until then it is handled with caution."""
    return baseline is not None and baseline.to_ms - baseline.from_ms >= LEARNED_AFTER_MS
