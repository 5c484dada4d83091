"""How likely are so few events, when their rate varies by itself?

A Poisson test takes every quiet afternoon for an outage: real arrivals are over-dispersed, and it
cries wolf 18 to 124 times a month at 1,000 to 10,000 orders a day. If the rate varies like a gamma
variable with squared coefficient of variation `spread`, the count is negative binomial.
"""

from __future__ import annotations

from math import exp, log1p

import numpy as np
import numpy.typing as npt

from monitor.core.signals.arrays import FloatArray
from monitor.core.signals.beta import beta_cdf

SMALLEST_SPREAD = 1e-4
"""Below this (a rate steady to 1 %) the count is Poisson in all but name, and logarithms cancel."""


def lower_tails(
    observed: npt.ArrayLike, expected: npt.ArrayLike, spread: npt.ArrayLike
) -> FloatArray:
    """P(X ≤ observed) for counts with mean `expected` and variance expected + spread · expected².

    Shapes: all broadcast to one dimension. Nothing expected gives 1. Microseconds each: the few
    windows worth a sum are chosen before.
    """
    counts, means, spreads = (
        array.ravel()
        for array in np.broadcast_arrays(
            np.asarray(observed, np.int64),
            np.asarray(expected, np.float64),
            np.asarray(spread, np.float64),
        )
    )
    tails = [
        lower_tail(*one)
        for one in zip(counts.tolist(), means.tolist(), spreads.tolist(), strict=True)
    ]
    return np.array(tails, np.float64)


def lower_tail(observed: int, expected: float, spread: float) -> float:
    """`lower_tails` of one count: I_x(r, observed + 1) with r = 1/spread, x = r/(r + expected)."""
    if observed < 0:
        return 0.0
    if not expected > 0.0:
        return 1.0
    size = 1.0 / max(spread, SMALLEST_SPREAD)
    if observed == 0:
        return exp(-log1p(expected / size) * size)
    return beta_cdf(size / (size + expected), size, observed + 1.0)


def silence_tails(expected: npt.ArrayLike, spread: npt.ArrayLike) -> FloatArray:
    """P(X = 0) of many, in closed form: (1 + spread · expected)^(-1/spread)."""
    spreads = np.maximum(np.asarray(spread, np.float64), SMALLEST_SPREAD)
    tails: FloatArray = np.exp(-np.log1p(spreads * np.asarray(expected, np.float64)) / spreads)
    return tails
