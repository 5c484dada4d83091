"""The regularised incomplete beta function: the one behind binomial tails and Beta posteriors.

I_x(a, b) is its leading term times a continued fraction. The term is computed in the saddle-point
form, because differences of `lgamma` lose seven digits at a million orders. Without scipy: a
monitor that starts in a second should not import it for one function.
Sources: Didonato and Morris 1992 (the fraction); C. Loader 2000 (the term).
"""

from __future__ import annotations

from math import exp, lgamma, log, pi, sqrt

import numpy as np

from monitor.core.signals.arrays import BoolArray, FloatArray, IntArray

_HALF_LOG_TWO_PI = 0.5 * log(2.0 * pi)
_SERIES_FROM = 16
_STEPS_MAX = 20_000  # about sqrt(a + b) are needed next to the mean
_SERIES_MAX = 400
_PRECISION = 1e-15
_PRECISION_MANY = 1e-12  # three digits more than anyone asks of a thousand rules at once
_ODD_POWERS = (3, 5, 7, 9, 11, 13, 15)
_TINY = 1e-300  # below it a quotient overflows, and no chance is that small
_CHUNK = 8_192  # so many tests stay inside the cache


def beta_cdf(x: float, a: float, b: float) -> float:
    """I_x(a, b) for a, b > 0: P(X <= x) for X ~ Beta(a, b), to 1e-12 up to a + b of a million."""
    if not x > 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    if x * (a + b + 2.0) > a + 1.0:  # the fraction converges fast only below the mean
        return max(0.0, 1.0 - _lower(1.0 - x, x, b, a))
    return min(1.0, _lower(x, 1.0 - x, a, b))


def binomial_tails(k: IntArray, n: IntArray, p: FloatArray | float) -> FloatArray:
    """P(X >= k) for X ~ Binomial(n, p), of many tests at once, relative error below 1e-9.

    Shapes: int64[m], int64[m], float64[m] or one number → float64[m]. k <= 0 gives 1, k > n 0.
    """
    hits, orders = np.asarray(k, dtype=np.int64), np.asarray(n, dtype=np.int64)
    chance = np.broadcast_to(np.asarray(p, dtype=np.float64), hits.shape)
    found = np.where(hits <= 0, 1.0, 0.0)
    is_possible = (hits > 0) & (hits <= orders)
    found[is_possible & (chance >= 1.0)] = 1.0
    open_ones = np.flatnonzero(is_possible & (chance > 0.0) & (chance < 1.0))
    for start in range(0, len(open_ones), _CHUNK):
        some = open_ones[start : start + _CHUNK]
        found[some] = _tails(hits[some], orders[some], chance[some])
    return found


def _tails(k: IntArray, n: IntArray, p: FloatArray) -> FloatArray:
    """The same for 0 < k <= n and 0 < p < 1: I_p(k, n - k + 1), or one less the other side."""
    is_upper = p * (n + 3.0) <= k + 1.0
    a = np.where(is_upper, k, n - k + 1)
    b = n + 1 - a
    x = np.where(is_upper, p, 1.0 - p)
    y = np.where(is_upper, 1.0 - p, p)
    lower = _leading(a, b, x, y) / _fraction(a.astype(np.float64), b.astype(np.float64), x, y)
    return np.clip(np.where(is_upper, lower, 1.0 - lower), 0.0, 1.0)


# --- one ----------------------------------------------------------------------------------------


def _lower(x: float, y: float, a: float, b: float) -> float:
    """I_x(a, b) below the mean; y = 1 - x."""
    total = a + b
    exponent = (
        stirling_rest(total)
        - stirling_rest(a)
        - stirling_rest(b)
        - deviance(a, total * x)
        - deviance(b, total * y)
    )
    leading = exp(exponent) * sqrt(a * b / (2.0 * pi * total))
    slope = a * y - b * x + 1.0
    value = part = a * slope / (a + 1.0)
    last = 0.0
    for step in range(1, _STEPS_MAX):
        bent = a + 2.0 * step - 1.0
        share = step * (b - step) * x / bent
        denominator = (a + step) * (slope + step * (2.0 - x)) / (bent + 2.0) + share + step
        numerator = (a + step - 1.0) * (total + step - 1.0) * x * share / bent
        last = 1.0 / (denominator + numerator * last)
        part = denominator + numerator / part
        value *= part * last
        if abs(part * last - 1.0) <= _PRECISION:
            break
    return leading / value


def stirling_rest(x: float) -> float:
    """What Stirling's formula leaves of ln Γ(x + 1), x > 0."""
    if x < _SERIES_FROM:
        return lgamma(x + 1.0) - (x + 0.5) * log(x) + x - _HALF_LOG_TWO_PI
    square = float(x) * x
    return (1 / 12 - (1 / 360 - (1 / 1260 - 1 / (1680 * square)) / square) / square) / x


def deviance(x: float, mean: float) -> float:
    """x·ln(x/mean) + mean - x, without the cancellation near x = mean (a series in their ratio)."""
    if abs(x - mean) >= 0.1 * (x + mean):
        return x * log(x / mean) + mean - x
    ratio = (x - mean) / (x + mean)
    total = (x - mean) * ratio
    power = 2.0 * x * ratio
    for odd in range(3, _SERIES_MAX, 2):
        power *= ratio * ratio
        longer = total + power / odd
        if longer == total:
            break
        total = longer
    return total


# --- many ---------------------------------------------------------------------------------------

_SMALL_RESTS = np.array([0.0, *(stirling_rest(x) for x in range(1, _SERIES_FROM))])


def _leading(a: IntArray, b: IntArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """x^a y^b / B(a, b) for whole a, b >= 1."""
    total = a + b
    exponent = (
        _stirling_rests(total)
        - _stirling_rests(a)
        - _stirling_rests(b)
        - _deviances(a, total * x)
        - _deviances(b, total * y)
    )
    product = a.astype(np.float64) * b
    return np.asarray(np.exp(exponent) * np.sqrt(product / (2.0 * pi * total)))


def _stirling_rests(x: IntArray) -> FloatArray:
    is_small = x < _SERIES_FROM
    inverse = 1.0 / np.maximum(x, _SERIES_FROM)
    square = inverse * inverse
    series = (1 / 12 - (1 / 360 - (1 / 1260 - square / 1680) * square) * square) * inverse
    return np.where(is_small, _SMALL_RESTS[np.where(is_small, x, 0)], series)


def _deviances(x: IntArray, mean: FloatArray) -> FloatArray:
    difference = x - mean
    ratio = difference / (x + mean)
    square = ratio * ratio
    series = np.zeros_like(ratio)
    for odd in reversed(_ODD_POWERS):
        series = (series + 1.0 / odd) * square
    near = difference * ratio + 2.0 * x * ratio * series
    far = x * np.log(x / np.maximum(mean, _TINY)) - difference
    return np.where(np.abs(ratio) < 0.1, near, far)


def _fraction(a: FloatArray, b: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """The continued fraction of every test; those that have converged drop out."""
    total, slope = a + b, a * y - b * x + 1.0
    value = a * slope / (a + 1.0)
    found = np.empty_like(value)
    places = np.arange(len(a))
    part, last = value.copy(), np.zeros_like(value)
    for step in range(1, _STEPS_MAX):
        bent = a + (2.0 * step - 1.0)
        share = step * (b - step) * x / bent
        denominator = (a + step) * (slope + step * (2.0 - x)) / (bent + 2.0) + share + step
        numerator = (a + (step - 1.0)) * (total + (step - 1.0)) * x * share / bent
        last = 1.0 / (denominator + numerator * last)
        part = denominator + numerator / part
        change = part * last
        value *= change
        is_open: BoolArray = np.abs(change - 1.0) > _PRECISION_MANY
        if not is_open.any():
            break
        if np.count_nonzero(is_open) * 2 <= len(is_open):
            found[places] = value
            places = places[is_open]
            value, part, last, a, b, x, total, slope = (
                column[is_open] for column in (value, part, last, a, b, x, total, slope)
            )
    found[places] = value
    return found
