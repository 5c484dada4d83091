"""The shop's hour of the week, safe where a day has 23 or 25 hours.

The core has no time zone database: the configuration hands over when the offset from UTC changes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

from monitor.core.signals.arrays import IntArray
from monitor.model.times import HOUR_MS

Offsets = Sequence[tuple[int, int]]

_WEEK_H = 168
# 1970-01-01 was a Thursday: three days after the Monday that begins a week here.
_EPOCH_H = 3 * 24


def offset_ms(at_ms: int, offsets: Offsets) -> int:
    """How far local time is ahead of UTC at an instant; 0 when nothing is known."""
    if not offsets:
        return 0
    index = bisect_right(offsets, at_ms, key=lambda entry: entry[0]) - 1
    return offsets[max(index, 0)][1]


def hour_of_week(at_ms: int, offsets: Offsets) -> int:
    """Local hour of the week, 0 (Monday 00:00) … 167."""
    return ((at_ms + offset_ms(at_ms, offsets)) // HOUR_MS + _EPOCH_H) % _WEEK_H


def hours_of_week(at_ms: IntArray, offsets: Offsets) -> IntArray:
    """`hour_of_week` of many instants; shapes: int64[n] → int64[n]."""
    times = np.asarray(at_ms, dtype=np.int64)
    if not offsets:
        return (times // HOUR_MS + _EPOCH_H) % _WEEK_H
    starts = np.array([start for start, _ in offsets], dtype=np.int64)
    ahead = np.array([offset for _, offset in offsets], dtype=np.int64)
    local = times + ahead[np.maximum(np.searchsorted(starts, times, side="right") - 1, 0)]
    return (local // HOUR_MS + _EPOCH_H) % _WEEK_H
