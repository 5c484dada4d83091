"""Inputs no shop should send and every function here must survive."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import settings
from hypothesis import strategies as st

from monitor.core.signals.survival import NEVER_MS

unhurried = settings(deadline=None)
"""No time limit per example: on a shared machine a slow one says nothing about the product."""

YEAR_MS = 365 * 86_400_000

ages_ms = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-10, 2_000_000),
    st.sampled_from(
        [0, 1, 15, 16, 60_000, 180_000, 300_000, 1_800_000, 5 * YEAR_MS, NEVER_MS, 2**63 - 1]
    ),
)
"""Any int64: nothing, a power of two, a promise, five years, the sentinel, the largest there is."""

shares = st.one_of(st.sampled_from([0.0, 0.5, 0.9, 0.99, 1.0]), st.floats(-0.5, 1.5))


def int64(values: list[int]) -> npt.NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def bools(values: list[bool]) -> npt.NDArray[np.bool_]:
    return np.array(values, dtype=np.bool_)
