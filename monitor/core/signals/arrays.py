"""Array types of the signal mathematics, and the two rules every array here obeys.

Sums that cross shards are integers, because float sums depend on the order of addition; and an
array that leaves its owner is read-only, because a frozen record does not freeze its arrays.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_Scalar = TypeVar("_Scalar", bound=np.generic)

_HALF_BITS = 32


def read_only(array: npt.NDArray[_Scalar]) -> npt.NDArray[_Scalar]:
    """Forbid writing to an array that its caller has just made, and hand it back."""
    array.flags.writeable = False
    return array


def exact_sum(values: IntArray) -> int:
    """Sum int64 values without overflow; exact below 2**31 values, which is more than memory holds."""
    high = int(np.sum(values >> _HALF_BITS))
    low = int(np.sum(values & ((1 << _HALF_BITS) - 1)))
    return (high << _HALF_BITS) + low
