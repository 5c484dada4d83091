"""The fast alarm: deliveries seen against deliveries a healthy channel owes, as a survival CUSUM.

    C <- min(1.5 h, max(0, C + (1 - ρ) dE + ln ρ · dO))        alarm: C > h      clear: C < h/2

dE is what orders in flight were expected to bring (`hazard`), dO what was delivered, ρ = 0.25 the
speed to be told from health: a channel at a quarter of its speed. In health O - E is a martingale
and C falls; in an outage C grows by 0.75 per delivery owed, long before any promise breaks. Nothing
older than an excursion counts, and above 1.5 h C does not grow, so that it clears soon afterwards.

The same chart at ρ = 0 runs beside it for what matters most, the total outage: the gap G, deliveries
owed since the last one was seen. It grows by 1 instead of 0.75, and in health exceeds g once in e**g
deliveries exactly, so that ln 1.5 beyond h = ln N it does so twice in 90 days. What is called C
outside this module, compared with h and remembered as peak, is max(C, G - ln 1.5).

The two bracket ρ = 0.2, which alone takes 5 % longer for an outage at one order a minute and for a
third of the orders stuck at ten.

Both and their limits are integers (1e-6): a path computed at once equals the path walked by steps.

Sources: Gandy, Kvaløy, Bottle, Zhou, Risk-adjusted monitoring of time to event, Biometrika 2010;
limit by G. Lorden 1971: with h = ln N a healthy chart runs for N orders at least, in the mean.
"""

from __future__ import annotations

from math import log
from typing import NamedTuple

import numpy as np

from monitor.core.signals.arrays import IntArray
from monitor.core.signals.hazard import UNIT
from monitor.model.baselines import Baseline
from monitor.model.times import DAY_MS

SPEED_RATIO = 0.25
ORDERS_30D_MIN = 1_000
PEAK_FACTOR = 1.2
LEARNED_AFTER_MS = 7 * DAY_MS
GUARD_RATIO = 0.35
"""Until a week is learned an alarm also needs fewer deliveries than this share of those owed."""

_OWED = 3  # (1 - ρ) · 4
_OWED_OF = 4
_SEEN = round(-log(SPEED_RATIO) * UNIT)
_DISTANCE = round(log(1.5) * UNIT)
_RESET = 1 << 50


class Position(NamedTuple):
    """Where charts stand. Shapes: int64[charts] twice, in 1e-6."""

    cusum: IntArray
    gap: IntArray

    @staticmethod
    def zero(charts: int) -> Position:
        """Charts that begin."""
        return Position(np.zeros(charts, np.int64), np.zeros(charts, np.int64))


def climb(expected: IntArray, observed: IntArray) -> IntArray:
    """What C gains from dE (in 1e-6) and dO, before it is kept between 0 and its cap; any shape."""
    return expected * _OWED // _OWED_OF - observed * _SEEN


def widen(expected: IntArray, observed: IntArray) -> IntArray:
    """What G gains: what is owed, or a fall to 0 when anything was delivered in the step."""
    return np.where(observed > 0, -_RESET, expected)


def cap_of(limits: IntArray) -> IntArray:
    """The value above which C does not grow."""
    return limits * 3 // 2


def paths(
    start: Position, expected: IntArray, observed: IntArray, limits: IntArray
) -> tuple[IntArray, Position]:
    """The values of many charts after each step, and where they stand at the end.

    Shapes: int64[charts, steps] twice, limits int64[charts] → int64[charts, steps].
    """
    caps = cap_of(limits)
    sums = _path(start.cusum, climb(expected, observed), caps)
    gaps = _path(start.gap, widen(expected, observed), caps + _DISTANCE)
    return value(sums, gaps), Position(sums[:, -1], gaps[:, -1])


def moved(cusum: int, gap: int, expected: int, observed: int, limit: int) -> tuple[int, int, int]:
    """The value of one chart after one step, and where it stands: `paths` without arrays."""
    cap = limit * 3 // 2
    gain = expected * _OWED // _OWED_OF - observed * _SEEN
    cusum = min(max(cusum + gain, 0), cap)
    wider = -_RESET if observed > 0 else expected
    gap = min(max(gap + wider, 0), cap + _DISTANCE)
    return max(cusum, gap - _DISTANCE), cusum, gap


def value(cusum: IntArray, gap: IntArray) -> IntArray:
    """What is compared with h; any shape."""
    return np.maximum(cusum, gap - _DISTANCE)


def _path(start: IntArray, gains: IntArray, caps: IntArray) -> IntArray:
    sums = np.cumsum(gains, axis=1)
    lowest = np.minimum(np.minimum.accumulate(sums, axis=1), -start[:, None])
    walked = sums - lowest
    high = np.flatnonzero((walked > caps[:, None]).any(axis=1) | (start > caps))
    at, steps = start[high], gains[high]
    for step in range(gains.shape[1] if high.size else 0):  # the cap has no closed form
        at = np.minimum(np.maximum(at + steps[:, step], 0), caps[high])
        walked[high, step] = at
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
