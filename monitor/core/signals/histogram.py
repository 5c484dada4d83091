"""Delays in 1,024 base-2 log buckets: the one histogram behind every exported and stored delay.

Bucket i covers (2**(i/32 - 6), 2**((i+1)/32 - 6)] seconds, which is the OpenTelemetry exponential
histogram at scale 5, shifted by 192 buckets: 15.6 ms to two years in steps of 2.2 %. Delays are
whole milliseconds, so the edges that matter are the largest milliseconds of each bucket. They are
computed in integers, and looking a delay up needs no logarithm that could round a power of two into
the neighbouring bucket.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import isqrt

import msgspec
import numpy as np
import numpy.typing as npt

from monitor.core.signals.arrays import FloatArray, IntArray, exact_sum, read_only

SCALE = 5
BUCKETS = 1024

_PER_OCTAVE = 1 << SCALE
_LOWEST_EXPONENT = -6
OTEL_SHIFT = -_LOWEST_EXPONENT * _PER_OCTAVE
"""Our bucket i is OpenTelemetry's bucket i - 192 at this scale."""


def _largest_ms(edge: int) -> int:
    """Floor of 1000 · 2**(edge/32 - 6) ms: an exact 32nd root, taken as five integer square roots."""
    power: int = 1000**_PER_OCTAVE
    power = power << (edge - OTEL_SHIFT) if edge >= OTEL_SHIFT else power >> (OTEL_SHIFT - edge)
    for _ in range(SCALE):
        power = isqrt(power)
    return power


_LARGEST_MS = tuple(_largest_ms(edge) for edge in range(1, BUCKETS + 1))

UPPER_S: FloatArray = read_only(
    np.exp2(np.arange(1, BUCKETS + 1, dtype=np.float64) / _PER_OCTAVE + _LOWEST_EXPONENT)
)
LOWER_S: FloatArray = read_only(
    np.exp2(np.arange(BUCKETS, dtype=np.float64) / _PER_OCTAVE + _LOWEST_EXPONENT)
)
UPPER_MS: IntArray = read_only(np.array(_LARGEST_MS, dtype=np.int64))
"""Largest whole millisecond of each bucket; below 1.5 s some buckets hold none at all."""
TOP_MS = _LARGEST_MS[-1]

_SHORT_MS = 1 << 17
# Buckets of 0 … 131 s, where nearly all delays are: a look-up costs 2.6 ns, a binary search 44.
_OF_SHORT: npt.NDArray[np.int16] = read_only(
    np.searchsorted(UPPER_MS, np.arange(_SHORT_MS + 1), side="left").astype(np.int16)
)
# Beyond, cells of 2,048 ms up to 4.7 h, the bucket of the first ms of each: the narrowest bucket out
# there is 2,840 ms wide, so the bucket of a delay is that one or the next.
_CELL_BITS = 11
_LONG_MS = 1 << 24
_OF_CELL: npt.NDArray[np.int16] = read_only(
    np.searchsorted(UPPER_MS, np.arange(_LONG_MS >> _CELL_BITS) << _CELL_BITS).astype(np.int16)
)
_VECTOR_FROM = 10  # measured: a call of the vector path costs as much as so many single ones
_SLICE = 1 << 15  # what fits into a core's cache: three times as fast as everything at once


def bucket_index(delay_ms: int) -> int:
    """Bucket of one delay in ms; cheaper than `bucket_indices` below ten delays."""
    return min(bisect_left(_LARGEST_MS, delay_ms), BUCKETS - 1)


def bucket_indices(delays_ms: IntArray) -> IntArray:
    """Buckets of many delays, equal to `bucket_index` of each.

    Shapes: int64[n] → int64[n]. Delays below the range, negative ones too, are in bucket 0, delays
    above it in the last.
    """
    return bucket_codes(np.asarray(delays_ms, dtype=np.int64)).astype(np.int64)


def bucket_codes(delays: IntArray) -> npt.NDArray[np.int16]:
    """`bucket_indices` in two bytes each, for who goes on counting: int64[n] → int16[n]."""
    found = _OF_SHORT.take(delays, mode="clip")
    long = np.flatnonzero(delays > _SHORT_MS)
    if long.size:
        found[long] = _look_up_long(delays[long])
    return found


def _look_up_long(delays: IntArray) -> npt.NDArray[np.int16]:
    found = _OF_CELL.take(delays >> _CELL_BITS, mode="clip")
    found += delays > UPPER_MS[found]
    longest = np.flatnonzero(delays >= _LONG_MS)
    if longest.size:
        found[longest] = np.minimum(np.searchsorted(UPPER_MS, delays[longest]), BUCKETS - 1)
    return found


def count_into(counts: IntArray, delays_ms: Sequence[int] | IntArray) -> None:
    """Add delays in ms to the counts of their buckets, in place, by whichever path is cheaper.

    Shapes: counts int64[1024], writable; delays of any number. Equal to adding 1 at `bucket_index`
    of each.
    """
    if len(delays_ms) < _VECTOR_FROM:
        for delay_ms in delays_ms:
            counts[bucket_index(int(delay_ms))] += 1
        return
    delays = np.asarray(delays_ms, dtype=np.int64)
    for start in range(0, delays.size, _SLICE):
        counts += np.bincount(bucket_codes(delays[start : start + _SLICE]), minlength=BUCKETS)


class LogHistogram(msgspec.Struct, frozen=True, eq=False):
    """Counts per bucket and the exact sum of the delays; merged by addition.

    Shapes: counts int64[1024], read-only. A quantile lies in the bucket of the exact one, so it is
    at most 2.2 % away, 1.1 % when interpolation is no worse than the middle of the bucket; on a
    smooth tail it is 0.1 % (`make bench`).
    """

    counts: IntArray
    sum_ms: int

    @staticmethod
    def empty() -> LogHistogram:
        """The histogram of no delays, neutral under `merge`."""
        return LogHistogram(read_only(np.zeros(BUCKETS, dtype=np.int64)), 0)

    @staticmethod
    def of(delays_ms: IntArray) -> LogHistogram:
        """Count delays in ms, int64[n]; negative ones count as 0."""
        delays = np.maximum(np.asarray(delays_ms, dtype=np.int64), 0)
        counts = np.zeros(BUCKETS, dtype=np.int64)
        count_into(counts, delays)
        return LogHistogram(read_only(counts), exact_sum(delays))

    def merge(self, other: LogHistogram) -> LogHistogram:
        """Add two histograms, `LogHistogram.merge(a, b)`; exact, in any order."""
        return LogHistogram(read_only(self.counts + other.counts), self.sum_ms + other.sum_ms)

    @property
    def total(self) -> int:
        """How many delays were counted."""
        return int(self.counts.sum())

    def quantile(self, q: float) -> float | None:
        """Delay in seconds that a share q of the counted orders did not exceed; None when empty."""
        total = self.total
        if total == 0:
            return None
        reached = np.cumsum(self.counts)
        wanted = min(max(q, 0.0), 1.0) * total
        # Not below a tiny positive rank, so that q = 0 finds the first bucket that holds anything.
        bucket = int(np.searchsorted(reached, max(wanted, 1e-9 * total), side="left"))
        inside = int(self.counts[bucket])
        share = min(max((wanted - (int(reached[bucket]) - inside)) / inside, 0.0), 1.0)
        return float(LOWER_S[bucket] * 2.0 ** (share / _PER_OCTAVE))
