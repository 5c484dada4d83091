"""Times of many scopes in one sorted array, so that a window of all of them is one binary search.

The key of a time is `scope · width + (time - first)`: scopes lie one behind the other, each in the
order of its times. A search for one time per scope gives one position per scope.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from monitor.core.signals.arrays import IntArray

FAR_MS = 1 << 45
"""Times further than 1,100 years from now count as that far: keys of 10,000 scopes fit 64 bits."""


class Timeline:
    """Times by scope, ascending within each; positions are those in the sorted array.

    Shapes: scope int[n], each in 0..size-1, or None where there is one scope; times int64[n].
    `is_sorted` says that they come ascending by (scope, time).
    """

    def __init__(
        self,
        scope: npt.NDArray[np.int16] | None,
        times: IntArray,
        size: int,
        now_ms: int,
        *,
        is_sorted: bool = False,
    ) -> None:
        first, last = (int(times.min()), int(times.max())) if times.size else (now_ms, now_ms)
        if first < now_ms - FAR_MS or last > now_ms + FAR_MS:
            times = np.clip(times, now_ms - FAR_MS, now_ms + FAR_MS)
            first, last = int(times.min()), int(times.max())
        # 0 is the place before the first time, so that a search can end in front of it.
        self._before = first - 1
        self._width = last - first + 2
        keys = times - self._before
        if scope is not None:
            keys += scope * np.int64(self._width)
        if not is_sorted:
            keys.sort()
        self._keys = keys
        self._offsets: IntArray = np.arange(size, dtype=np.int64) * self._width
        self.until_now = self.until(now_ms)

    def until(self, times: IntArray | int) -> IntArray:
        """Position behind the last time that is not later, for each scope.

        Shapes: int64[..., size], or one time for all → int64[..., size].
        """
        if not self._keys.size:
            return np.zeros(np.broadcast_shapes(np.shape(times), self._offsets.shape), np.int64)
        # Twice as quick as `clip`, and called for every window of every rule.
        places = np.minimum(np.maximum(times - self._before, 0), self._width - 1)
        return self._keys.searchsorted(places + self._offsets, side="right")

    def after(self, since_ms: IntArray) -> IntArray:
        """How many times lie in (since, now], since ≤ now, for each scope; int64[..., size]."""
        return self.until_now - self.until(since_ms)
