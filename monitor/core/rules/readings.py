"""Readings: one signal at one instant, for every instance of a rule at once."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from monitor.core.signals.arrays import BoolArray, FloatArray, IntArray

Codes = npt.NDArray[np.int8]

OK, INSUFFICIENT, NO_DATA = range(3)
STATES = ("ok", "insufficient", "no_data")


class Readings(msgspec.Struct, frozen=True, eq=False):
    """A signal by instance.

    Shapes: all arrays [instances]. `values` in seconds, 0..1, count or score; NaN means that there
    is none, inf a percentile that is not reached. `k` of `n` orders count for it; for a percentile
    k are those, delivered or waiting, whose delay exceeds the limit asked with. `states` are OK,
    INSUFFICIENT (fewer orders than asked for), NO_DATA; None means all are OK. `p`, `is_proven` and
    `share_per_unit` are those of a `SignalTable`, None where it has none.
    """

    values: FloatArray
    k: IntArray | None = None
    n: IntArray | None = None
    states: Codes | None = None
    p: FloatArray | None = None
    is_proven: BoolArray | None = None
    share_per_unit: float | None = None


def counted(
    values: FloatArray, n: IntArray, *, k: IntArray | None = None, min_count: int = 0
) -> Readings:
    """Readings that rest on n orders: no data without any, insufficient below `min_count`."""
    if not n.size or int(n.min()) >= max(min_count, 1):
        return Readings(values, k, n)
    states = np.where(n == 0, np.int8(NO_DATA), np.int8(INSUFFICIENT))
    states[n >= max(min_count, 1)] = OK
    return Readings(values, k, n, states)


def state_of(readings: Readings, index: int) -> int:
    """The state of one instance."""
    return OK if readings.states is None else int(readings.states[index])
