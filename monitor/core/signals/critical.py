"""How many bad orders of n are more than chance: the binomial test turned round, and remembered.

A thousand rules ask the same few questions at every instant: is P(X >= k | n, chance) small enough
for this k and n? The tail falls with k, so per n there is one smallest k for which it is. Found
once, the test is a comparison of integers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from monitor.core.signals.arrays import BoolArray, FloatArray, IntArray
from monitor.core.signals.evidence import binomial_tails

TESTS_MAX = 256
"""Pairs of chance and confidence remembered; beyond it the whole memory starts anew."""
ORDERS_MAX = 4_096
"""Larger windows are tested as they come: few are, and hardly two alike."""

_TIE = 1e-9  # relative: as exact as the tails are
_UNKNOWN = -1


class CriticalCounts:
    """The smallest significant count per number of orders; a memory that changes no answer."""

    def __init__(self) -> None:
        self._known: dict[tuple[float, float], npt.NDArray[np.int32]] = {}

    def is_reached(
        self, k: IntArray, n: IntArray, chance: float | FloatArray, confidence: float
    ) -> BoolArray:
        """Whether P(X >= k | n, chance) <= 1 - confidence, as exact as a float can say.

        Shapes: int64[m], int64[m], 0 <= k, 0 <= n, one number or float64[m]. Two of two at a chance of 10 % are 1 - 0.99: a
        tie counts as reached.
        """
        if not n.size:
            return np.zeros(0, np.bool_)
        if not isinstance(chance, float) or int(n.max()) >= ORDERS_MAX:
            is_small = binomial_tails(k, n, chance) <= _bound(confidence)
            return np.asarray(is_small & ~np.isnan(chance))
        known = self._table(chance, confidence)
        least = known[n]
        if int(least.min()) == _UNKNOWN:
            new = np.unique(n[least == _UNKNOWN])
            known[new] = _smallest(new, chance, confidence)
            least = known[n]
        return np.asarray(k >= least)

    def _table(self, chance: float, confidence: float) -> npt.NDArray[np.int32]:
        key = (chance, confidence)
        if key not in self._known:
            if len(self._known) >= TESTS_MAX:
                self._known.clear()
            self._known[key] = np.full(ORDERS_MAX, _UNKNOWN, np.int32)
        return self._known[key]


def _bound(confidence: float) -> float:
    return (1.0 - confidence) * (1.0 + _TIE)


def _smallest(n: IntArray, chance: float, confidence: float) -> IntArray:
    """Smallest k whose tail is small enough, by halving; n + 1 where not even n of n is."""
    low, high = np.zeros(n.size, np.int64), n + 1
    while (low < high).any():
        middle = (low + high) // 2
        is_reached = binomial_tails(middle, n, chance) <= _bound(confidence)
        high = np.where(is_reached, middle, high)
        low = np.where(is_reached, low, np.minimum(middle + 1, high))
    return low
