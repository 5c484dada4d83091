"""How likely are so few events, when their rate varies by itself?

A Poisson test takes every quiet afternoon for an outage: real arrivals are over-dispersed, and it
cries wolf 18 to 124 times a month at 1,000 to 10,000 orders a day. If the rate varies like a gamma
variable with squared coefficient of variation `spread`, the count is negative binomial.
"""

from __future__ import annotations

from math import lgamma

import numpy as np
import numpy.typing as npt

from monitor.core.signals.arrays import FloatArray

SMALLEST_SPREAD = 1e-4
"""Below this (a rate steady to 1 %) the count is Poisson in all but name, and logarithms cancel."""

_STEPS_MAX = 500
_CLOSE = 1e-12
_TINY = 1e-300


def lower_tails(
    observed: npt.ArrayLike, expected: npt.ArrayLike, spread: npt.ArrayLike
) -> FloatArray:
    """P(X ≤ observed) for counts with mean `expected` and variance expected + spread · expected².

    Shapes: all broadcast to one dimension. Nothing expected gives 1. The regularised incomplete
    beta function I_x(r, k + 1), r = 1/spread, x = r/(r + expected).
    Source: DLMF 8.17.22, continued fraction, evaluated by Lentz's method.
    """
    counts, means, spreads = (
        array.ravel()
        for array in np.broadcast_arrays(
            np.asarray(observed, np.float64),
            np.asarray(expected, np.float64),
            np.maximum(np.asarray(spread, np.float64), SMALLEST_SPREAD),
        )
    )
    tails = np.ones(counts.size)
    tails[counts < 0.0] = 0.0
    for_sum = np.flatnonzero((counts >= 0.0) & (means > 0.0))
    if for_sum.size:
        size = 1.0 / spreads[for_sum]
        share = size / (size + means[for_sum])
        tails[for_sum] = _incomplete_beta(share, size, counts[for_sum] + 1.0)
    return tails


def lower_tail(observed: int, expected: float, spread: float) -> float:
    """`lower_tails` of one count."""
    return float(lower_tails(observed, expected, spread)[0])


def silence_tails(expected: npt.ArrayLike, spread: npt.ArrayLike) -> FloatArray:
    """P(X = 0), in closed form: (1 + spread · expected)^(-1/spread)."""
    spreads = np.maximum(np.asarray(spread, np.float64), SMALLEST_SPREAD)
    tails: FloatArray = np.exp(-np.log1p(spreads * np.asarray(expected, np.float64)) / spreads)
    return tails


def _incomplete_beta(x: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
    """I_x(a, b), 0 < x < 1; the fraction is taken of the side where it converges fast."""
    is_upper = x > (a + 1.0) / (a + b + 2.0)
    first, second = np.where(is_upper, b, a), np.where(is_upper, a, b)
    at = np.where(is_upper, 1.0 - x, x)
    log_beta = np.array(
        [lgamma(p) + lgamma(q) - lgamma(p + q) for p, q in zip(first, second, strict=True)]
    )
    front = np.exp(first * np.log(at) + second * np.log1p(-at) - log_beta) / first
    part = np.minimum(front * _fraction(at, first, second), 1.0)
    result: FloatArray = np.where(is_upper, 1.0 - part, part)
    return result


def _fraction(x: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
    """The continued fraction of I_x(a, b) without its front factor."""
    c = np.ones_like(x)
    d = 1.0 / _not_zero(1.0 - (a + b) * x / (a + 1.0))
    value = d.copy()
    for m in range(1, _STEPS_MAX):
        twice = 2.0 * m
        even = m * (b - m) * x / ((a + twice - 1.0) * (a + twice))
        d = 1.0 / _not_zero(1.0 + even * d)
        c = _not_zero(1.0 + even / c)
        value *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + twice) * (a + twice + 1.0))
        d = 1.0 / _not_zero(1.0 + odd * d)
        c = _not_zero(1.0 + odd / c)
        step = d * c
        value *= step
        if np.all(np.abs(step - 1.0) < _CLOSE):
            break
    return value


def _not_zero(values: FloatArray) -> FloatArray:
    """Lentz's guard: a denominator of exactly zero becomes a very small one."""
    guarded: FloatArray = np.where(np.abs(values) < _TINY, _TINY, values)
    return guarded
