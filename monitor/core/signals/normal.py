"""What a learned baseline says is normal at an hour of the week: the values of `baseline(signal)`."""

from __future__ import annotations

import numpy as np

from monitor.core.signals.arrays import IntArray, read_only
from monitor.core.signals.histogram import BUCKETS, LOWER_S, UPPER_S, LogHistogram
from monitor.model.baselines import Baseline
from monitor.model.rules import QUANTILES

PER_OCTAVE = 32


def normal_s(baseline: Baseline | None, signal: str, hour: int) -> float | None:
    """The usual delay in seconds at an hour of the week, 0 (Monday 00:00) … 167.

    `signal` is a percentile or `mean_delay`. Orders never delivered lie above every percentile, so
    one that they reach is None, as everything is before the first learning.
    """
    if baseline is None or not baseline.delivered:
        return None
    counts: IntArray = np.zeros(BUCKETS, np.int64)
    for bucket, count in baseline.delivered:
        counts[bucket] = count
    delivered = int(counts.sum())
    if signal == "mean_delay":
        usual: float | None = float(counts @ np.sqrt(LOWER_S * UPPER_S)) / delivered
    else:
        share = QUANTILES[signal] * (delivered + baseline.never) / delivered
        usual = LogHistogram(read_only(counts), 0).quantile(share) if share <= 1.0 else None
    if usual is None or not baseline.shifts:
        return usual
    return float(usual * 2.0 ** (baseline.shifts[hour % len(baseline.shifts)] / PER_OCTAVE))
