"""Is this many bad ones of so few more than chance? Tests and bounds for small counts.

A rule "> 2 %" on raw ratios pages a healthy shop daily; a Wilson bound still fires on one of ten.
The exact binomial tail does not (`reference/alerting.md` §3). Probabilities are computed as one
term by the saddle-point form, exact to 1e-13 where differences of `lgamma` lose seven digits at a
million orders, and its neighbours by ratios.
Source: C. Loader, Fast and Accurate Computation of Binomial Probabilities, 2000.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log, log1p, pi, sqrt
from statistics import NormalDist

import numpy as np

from monitor.core.signals.arrays import IntArray, exact_sum
from monitor.core.signals.beta import beta_cdf, binomial_tails, deviance, stirling_rest

__all__ = [
    "binomial_tail",
    "binomial_tails",
    "is_significant",
    "jeffreys_above",
    "jeffreys_interval",
    "quick_rate_lower_bound",
    "rate_lower_bound",
    "trimmed_mean_ms",
    "wilson_interval",
]

_EXACT_UP_TO = 30
_NEGLIGIBLE = 1e-18
_STEPS_MAX = 200
_HALVINGS = 100
_WORST_SHARE_INVERSE = 20


def binomial_tail(k: int, n: int, p: float) -> float:
    """P(X ≥ k) for X ~ Binomial(n, p), exact to 1e-9; time grows with √n."""
    if k <= 0:
        return 1.0
    if k > n or not p > 0.0:
        return 0.0
    if p >= 1.0:
        return 1.0
    odds = p / (1.0 - p)
    # Sum the side that does not hold the mean: its terms fall from the first one on.
    if k > n * p:
        tail = _sum_falling(_binomial_term(k, n, p), k, n, lambda j: (n - j) / (j + 1) * odds)
        return min(1.0, tail)
    first = _binomial_term(k - 1, n, p)
    rest = _sum_falling(first, 0, k - 1, lambda i: (k - 1 - i) / (n - k + 2 + i) / odds)
    return max(0.0, 1.0 - rest)


def wilson_interval(k: float, n: int, z: float = 2.576) -> tuple[float, float]:
    """Interval of a share k/n to draw, not to decide; z = 2.576 is 99 % two-sided.

    (0, 1) when n is 0. `k` may be a sum of losses in [0, 1], whose variance is never larger.
    Source: Wilson 1927.
    """
    if n <= 0:
        return (0.0, 1.0)
    share = min(max(k / n, 0.0), 1.0)
    weight = z * z / n
    middle = (share + weight / 2.0) / (1.0 + weight)
    half = z * sqrt(share * (1.0 - share) / n + weight / (4.0 * n)) / (1.0 + weight)
    # At the ends of the scale the bound is the end itself; floats miss it by an ulp.
    low = 0.0 if share == 0.0 else max(0.0, middle - half)
    return (low, 1.0 if share == 1.0 else min(1.0, middle + half))


def jeffreys_above(k: int, n: int, limit: float) -> float:
    """How probable it is that the true share of bad ones exceeds a limit, k of n being bad.

    The posterior Beta(k + ½, n - k + ½) of Jeffreys' prior: the interval with the most even
    coverage of the three usual ones, used to decide where Wilson's is used to draw. Without orders
    it is the prior's own opinion. Source: Brown, Cai and DasGupta 2001.
    """
    hits = min(max(k, 0), max(n, 0))
    return 1.0 - beta_cdf(limit, hits + 0.5, max(n, 0) - hits + 0.5)


def jeffreys_interval(k: int, n: int, confidence: float = 0.99) -> tuple[float, float]:
    """Two-sided interval of a share; 0 is always the lower end without, 1 the upper with only hits."""
    if n <= 0:
        return (0.0, 1.0)
    hits = min(max(k, 0), n)
    miss = (1.0 - min(max(confidence, 0.0), 1.0)) / 2.0
    low = _beta_quantile(miss, hits + 0.5, n - hits + 0.5) if hits else 0.0
    high = _beta_quantile(1.0 - miss, hits + 0.5, n - hits + 0.5) if hits < n else 1.0
    return (low, high)


def is_significant(k: int, n: int, limit: float, confidence: float) -> bool:
    """Does k of n exceed the limit, and would that be rarer than 1 - confidence at the limit?

    With a limit of 2 % and confidence 0.99 one of ten is chance, three of ten are not.
    """
    return n > 0 and k / n > limit and binomial_tail(k, n, limit) <= 1.0 - confidence


def trimmed_mean_ms(delays_ms: IntArray) -> float | None:
    """Mean in ms without the worst 5 %, at least one; None when nothing is left.

    Shapes: int64[n]; negative delays count as 0. The gate of mean rules: one order of ten stuck for
    an hour lifts the mean above three minutes, not this one.
    """
    delays = np.maximum(np.asarray(delays_ms, dtype=np.int64), 0)
    n_kept = delays.size - max(1, -(-delays.size // _WORST_SHARE_INVERSE))
    if n_kept <= 0:
        return None
    return exact_sum(np.partition(delays, n_kept - 1)[:n_kept]) / n_kept


def rate_lower_bound(count: int, span_ms: int, confidence: float = 0.99) -> float:
    """Lower confidence bound of a Poisson rate, in events per ms; 0 without events or time.

    Exact (Garwood 1936): the rate at which `count` or more had the probability 1 - confidence,
    found by Newton steps kept inside a bracket.
    """
    if count <= 0 or span_ms <= 0:
        return 0.0
    wanted = min(max(1.0 - confidence, 1e-12), 1.0 - 1e-12)
    low, high = 0.0, count + 40.0 * sqrt(count) + 40.0
    # Wilson and Hilferty's normal approximation is a close first guess, except for one or two.
    deviation = NormalDist().inv_cdf(wanted)
    guess = count * (1.0 - 1.0 / (9.0 * count) + deviation / (3.0 * sqrt(count))) ** 3
    mean = guess if low < guess < high else float(count)
    for _ in range(_STEPS_MAX):
        tail, slope = _poisson_tail(count, mean)
        if tail < wanted:
            low = mean
        else:
            high = mean
        step = (tail - wanted) / slope if slope > 0.0 else 0.0
        following = mean - step
        if not low < following < high:
            following = 0.5 * (low + high)
        if abs(following - mean) <= 1e-13 * mean:
            break
        mean = following
    return mean / span_ms


def quick_rate_lower_bound(count: int, span_ms: int, confidence: float = 0.99) -> float:
    """`rate_lower_bound` fit for every event: exact up to 30 events, then within 0.1 %.

    Source: Wilson and Hilferty 1931, the cube-root normal approximation of chi-squared.
    """
    if count <= _EXACT_UP_TO or span_ms <= 0:
        return rate_lower_bound(count, span_ms, confidence)
    deviation = NormalDist().inv_cdf(1.0 - confidence)
    root = 1.0 - 1.0 / (9.0 * count) + deviation / (3.0 * sqrt(count))
    return count * max(root, 0.0) ** 3 / span_ms


def _poisson_tail(k: int, mean: float) -> tuple[float, float]:
    """P(X ≥ k) for X ~ Poisson(mean), k ≥ 1, and its derivative by the mean, P(X = k - 1)."""
    term = exp(-stirling_rest(k) - deviance(k, mean)) / sqrt(2.0 * pi * k)
    before = term * k / mean
    if k > mean:
        limit = k + 1_000_000
        return min(1.0, _sum_falling(term, k, limit, lambda j: mean / (j + 1))), before
    rest = _sum_falling(before, 0, k - 1, lambda i: (k - 1 - i) / mean)
    return max(0.0, 1.0 - rest), before


def _sum_falling(term: float, start: int, stop: int, ratio: Callable[[int], float]) -> float:
    """Sum term_start … term_stop, each `ratio(j)` times the one before, until they stop mattering."""
    total = term
    for j in range(start, stop):
        term *= ratio(j)
        total += term
        if term <= total * _NEGLIGIBLE:
            break
    return total


def _beta_quantile(share: float, a: float, b: float) -> float:
    """Invert `beta_cdf` by halving: 100 steps end at the last bit wherever the answer lies."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        if beta_cdf(middle, a, b) < share:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def _binomial_term(k: int, n: int, p: float) -> float:
    """P(X = k) for 0 < p < 1, 0 ≤ k ≤ n."""
    if k == 0:
        return exp(n * log1p(-p))
    if k == n:
        return exp(n * log(p))
    exponent = (
        stirling_rest(n)
        - stirling_rest(k)
        - stirling_rest(n - k)
        - deviance(k, n * p)
        - deviance(n - k, n * (1.0 - p))
    )
    return exp(exponent) * sqrt(n / (2.0 * pi * k * (n - k)))
