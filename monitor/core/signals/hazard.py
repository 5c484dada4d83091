"""How many deliveries a healthy channel owes an order of some age: its cumulative hazard, in integers.

H(age) grows by deliveries in a bucket per order that got that far, so every order is expected to
bring its channel one delivery in the mean, whatever its delay. Orders that were never delivered stay
at risk. Values are fixed-point (unit 1e-6) and every look-up is integer arithmetic, so that sums over
shards are bit-identical whatever the order of addition.

An age finds its cell by the bits of its float64 form: 128 cells per octave, no logarithm and no
search. An hour of the week whose delays are longer by s buckets of 1/32 octave looks up age · 2**(-s/32).

Source: Nelson 1969, Aalen 1978; e / (n - e/2) is the actuarial form for delays spread over a bucket.
Where a shop's clock counts whole seconds delays are atoms, which keep Nelson's e / n: -ln(1 - e/n)
would expect several deliveries of an order that brings one.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import erf, log, sqrt

import msgspec
import numpy as np

from monitor.core.signals.arrays import IntArray, read_only
from monitor.core.signals.calendar import Offsets, hours_of_week
from monitor.core.signals.histogram import BUCKETS, UPPER_S
from monitor.model.baselines import HOURS, Baseline
from monitor.model.times import HOUR_MS

UNIT = 1_000_000
"""One expected delivery."""
PRIOR_ORDERS = 20
PRIOR_MEDIAN_S = 15.0
PRIOR_SIGMA = 1.2
ATOM_SHARE = 0.1
"""From this share of those at risk on, a bucket of 2 % width holds an atom, not a density."""
TAIL_ORDERS = 16
CAP_MIN = 3.5
"""What an order may be charged even when nearly nothing was learned."""
SHIFT_MAX = 160
"""Five octaves: an hour of the week may be at most 32 times as slow or as fast as the rest."""
UNLEARNED_SHIFT = 83
"""Before anything was learned a median of 90 s is believed: nothing says that the shop is fast."""

_PER_OCTAVE = 128
_TOP_OCTAVE = 36  # 2**36 ms are two years
_SCALE_BITS = 16
_CELL_SHIFT = 52 - 7
_FRACTION_BITS = 20
_FIRST_CELL = int(np.array([float(1 << _SCALE_BITS)]).view(np.int64)[0]) >> _CELL_SHIFT
_CELLS = (_TOP_OCTAVE + SHIFT_MAX // 32 + 1) * _PER_OCTAVE
_OLDEST_MS = 1 << _TOP_OCTAVE

_FACTOR: IntArray = read_only(
    np.rint(np.exp2(_SCALE_BITS - np.arange(-SHIFT_MAX, SHIFT_MAX + 1) / 32.0)).astype(np.int64)
)
_STEPS = np.arange(_CELLS + 1)
_CELL_MS = np.exp2(_STEPS // _PER_OCTAVE) * (1.0 + _STEPS % _PER_OCTAVE / _PER_OCTAVE)
_EDGES_MS = np.concatenate(([0.0], UPPER_S * 1000.0))


def _prior() -> IntArray:
    """The pseudo-orders per bucket, in millionths of an order."""
    reach = [
        0.5 * (1.0 + erf(log(edge / PRIOR_MEDIAN_S) / (PRIOR_SIGMA * sqrt(2.0))))
        for edge in UPPER_S
    ]
    cumulative = np.rint(np.array([0.0, *reach]) * PRIOR_ORDERS * UNIT).astype(np.int64)
    return read_only(np.diff(cumulative))


_PRIOR: IntArray = _prior()


class Hazard(msgspec.Struct, frozen=True, eq=False):
    """Cumulative hazard of one channel, and how much slower its hours of the week are.

    Shapes: values int64[cells + 1] at the cells' edges in units of 1e-6; shifts int64[168] buckets.
    """

    values: IntArray
    shifts: IntArray

    @staticmethod
    def of(baseline: Baseline | None) -> Hazard:
        """What was learned, always mixed with 20 pseudo-orders; the prior alone when nothing was.

        It stops growing where fewer than sixteen orders are left to say more. One order stuck for
        ever thereby stays weak evidence: it is for its tier, not for an alarm about a channel.
        """
        masses = _PRIOR.copy()
        never = 0
        shifts = np.full(HOURS, UNLEARNED_SHIFT, np.int64)
        if baseline is not None and baseline.delivered:
            for bucket, count in baseline.delivered:
                masses[min(max(bucket, 0), BUCKETS - 1)] += max(count, 0) * UNIT
            never = max(baseline.never, 0) * UNIT
            learned = np.array(baseline.shifts or (0,) * HOURS, dtype=np.int64)
            shifts = np.clip(learned, -SHIFT_MAX, SHIFT_MAX)
        total = int(masses.sum()) + never
        at_risk = total - (np.cumsum(masses) - masses)
        share = masses / np.maximum(at_risk, 1)
        share /= np.where(share < ATOM_SHARE, 1.0 - share / 2.0, 1.0)
        growth = np.rint(UNIT * share).astype(np.int64)
        cap = round(UNIT * max(log(total / (TAIL_ORDERS * UNIT)), CAP_MIN))
        reached = np.minimum(np.concatenate(([0], np.cumsum(growth))), cap)
        values = np.rint(np.interp(_CELL_MS, _EDGES_MS, reached)).astype(np.int64)
        values[0] = 0
        return Hazard(read_only(values), read_only(shifts))

    def at(self, ages_ms: IntArray, shifts: IntArray | None = None) -> IntArray:
        """Deliveries expected of orders of these ages, in 1e-6; H(0) = 0 and it never falls.

        Shapes: int64[n], int64[n] buckets by which the order's hour is slower → int64[n].
        """
        return Hazards.of((self,)).at(np.zeros(len(ages_ms), np.int64), ages_ms, shifts)


class Hazards(msgspec.Struct, frozen=True, eq=False):
    """The hazards of several channels, looked up together.

    Shapes: base, rise int64[channels · cells] value and growth of each cell; shifts
    int64[channels, 168].
    """

    base: IntArray
    rise: IntArray
    shifts: IntArray

    @staticmethod
    def of(hazards: Sequence[Hazard]) -> Hazards:
        """Stack channels; channel i of a look-up is the i-th."""
        values = np.array([hazard.values for hazard in hazards], np.int64).reshape(-1, _CELLS + 1)
        return Hazards(
            read_only(values[:, :-1].ravel()),
            read_only(np.diff(values, axis=1).ravel()),
            read_only(np.array([hazard.shifts for hazard in hazards], np.int64).reshape(-1, HOURS)),
        )

    def at(self, channel: IntArray, ages_ms: IntArray, shifts: IntArray | None) -> IntArray:
        """`Hazard.at` of each order's own channel.

        Shapes: int64[n] position in the stack, int64[n], int64[n] (None: no hour differs).
        """
        ages = np.clip(ages_ms, 0, _OLDEST_MS)
        if shifts is None:
            ages <<= _SCALE_BITS
        else:
            ages *= _FACTOR[np.clip(shifts, -SHIFT_MAX, SHIFT_MAX) + SHIFT_MAX]
        np.maximum(ages, 1 << _SCALE_BITS, out=ages)
        bits = ages.astype(np.float64).view(np.int64)
        cell = bits >> _CELL_SHIFT
        cell += channel * _CELLS - _FIRST_CELL
        bits >>= _CELL_SHIFT - _FRACTION_BITS
        bits &= (1 << _FRACTION_BITS) - 1
        bits *= self.rise[cell]
        bits >>= _FRACTION_BITS
        bits += self.base[cell]
        return bits

    def shifts_of(self, channel: IntArray, paid_ms: IntArray, offsets: Offsets) -> IntArray | None:
        """How much slower the hour is in which each order was paid; None when no hour differs.

        Shapes: int64[n], int64[n] → int64[n]. `offsets` are the shop's, as in `calendar`.
        """
        if not paid_ms.size or not self.shifts.any():
            return None
        first, last = int(paid_ms.min()) // HOUR_MS, int(paid_ms.max()) // HOUR_MS
        hours = hours_of_week(np.arange(first, last + 1) * HOUR_MS, offsets)
        by_hour = self.shifts[:, hours].ravel()  # one division and one look-up per order
        found: IntArray = by_hour[channel * len(hours) + (paid_ms // HOUR_MS - first)]
        return found
