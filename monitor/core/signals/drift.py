"""Have a channel's delays settled at a new level? Then its older history says nothing any more.

A two-sided CUSUM (k = 0.25, h = 16) on z = (ln delay - median) / (1.4826 · MAD), clipped to ±4,
never on raw seconds. It walks hour by hour over the delivered delays of the last days: only what
shards can add up exactly is looked at. "Settled" is more than "moved": the excursion must have
lasted some hours and the median must be elsewhere by a fifth, so that a busy evening is no new level.
"""

from __future__ import annotations

import msgspec
import numpy as np

from monitor.core.signals.arrays import FloatArray, IntArray
from monitor.core.signals.calendar import Offsets, hour_of_week
from monitor.core.signals.histogram import BUCKETS
from monitor.core.signals.paces import KEPT_MS, Paces
from monitor.model.baselines import Baseline
from monitor.model.times import HOUR_MS

SLACK = 0.25
LIMIT = 16.0
CLIP = 4.0
SETTLED_HOURS = 6
SETTLED_ORDERS = 50
SETTLED_BUCKETS = 8
"""8/32 octave: the median moved by 19 %."""


class Settled(msgspec.Struct, frozen=True):
    """Delays have been at a new level since an instant; `ratio` is new median / old median."""

    since_ms: int
    ratio: float


def settled(baseline: Baseline, paces: Paces, offsets: Offsets, until_ms: int) -> Settled | None:
    """Whether delays left the baseline's level for good; `until_ms` is where complete hours end.

    Call it only while no alarm is on and no promises break: an incident is not a new level.
    """
    middle, spread = _level(baseline)
    if spread == 0.0:
        return None
    score = np.clip((np.arange(BUCKETS) - middle) / spread, -CLIP, CLIP)
    sums, since = [0.0, 0.0], [0, 0]
    hours = paces.hours(baseline.channel, until_ms - KEPT_MS, until_ms)
    calm = [shifted(hour.counts, -_shift(baseline, hour.hour_ms, offsets)) for hour in hours]
    for hour, counts in zip(hours, calm, strict=True):
        n, total = int(counts.sum()), float(counts @ score)
        for side, sign in enumerate((1.0, -1.0)):
            if sums[side] == 0.0:
                since[side] = hour.hour_ms
            sums[side] = max(0.0, sums[side] + sign * total - SLACK * n)
    side = int(sums[1] > sums[0])
    if sums[side] <= LIMIT or until_ms - since[side] < SETTLED_HOURS * HOUR_MS:
        return None
    lately = sum(
        (counts for hour, counts in zip(hours, calm, strict=True) if hour.hour_ms >= since[side]),
        np.zeros(BUCKETS, np.int64),
    )
    moved = median_bucket(lately) - middle
    if lately.sum() < SETTLED_ORDERS or abs(moved) < SETTLED_BUCKETS:
        return None
    return Settled(since[side], 2.0 ** (moved / 32.0))


def median_bucket(counts: IntArray) -> int:
    """The bucket that holds the median; 0 of nothing."""
    return int(np.searchsorted(np.cumsum(counts) * 2, int(counts.sum()), side="left"))


def shifted(counts: IntArray, by: int) -> IntArray:
    """Counts of delays all longer by so many buckets; what leaves the range stays at its end."""
    by = min(max(by, 1 - BUCKETS), BUCKETS - 1)
    if by == 0:
        return counts.copy()
    moved = np.zeros_like(counts)
    if by > 0:
        moved[by:] = counts[:-by]
        moved[-1] += counts[-by:].sum()
    else:
        moved[:by] = counts[-by:]
        moved[0] += counts[:-by].sum()
    return moved


def _shift(baseline: Baseline, hour_ms: int, offsets: Offsets) -> int:
    return baseline.shifts[hour_of_week(hour_ms, offsets)] if baseline.shifts else 0


def _level(baseline: Baseline) -> tuple[int, float]:
    """Median and 1.4826 · MAD of the learned log delays, in buckets; (0, 0) of nothing."""
    counts = np.zeros(BUCKETS, np.int64)
    for bucket, count in baseline.delivered:
        counts[bucket] += count
    if not counts.any():
        return 0, 0.0
    middle = median_bucket(counts)
    away: FloatArray = np.abs(np.arange(BUCKETS) - middle).astype(np.float64)
    by_distance = np.bincount(away.astype(np.int64), weights=counts).astype(np.int64)
    deviation = median_bucket(by_distance)
    return middle, 1.4826 * max(deviation, 1)
