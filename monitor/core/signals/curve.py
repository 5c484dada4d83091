"""A survival curve and what is read off it: the share of orders that still wait at an age.

Two estimators (`survival.py`) make curves. A cohort's is a staircase, exact at every age. A
period's is known at bucket edges only, and ln S is straight between them, which is a constant
hazard inside a bucket. Beyond the last age seen a curve stays level: that is the highest share it
can have, so nothing read off it promises a delivery nobody has seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log

import msgspec
import numpy as np

from monitor.core.signals.arrays import FloatArray, read_only

_TIE = 1e-9
"""Relative slack of S(t) ≤ 1 - q: nine of ten delivered is 1 - 0.9 in any float arithmetic."""

_SMALLEST = float(np.finfo(np.float64).tiny)
_LONGEST_S = 2.0**26
_STRAIGHT = 1e-9

Z95 = 1.959963984540054
"""Two-sided 95 %, what bands and intervals here are drawn with unless told otherwise."""


class Quantile(msgspec.Struct, frozen=True):
    """An age in seconds by which a share of the orders is delivered, or the bound it lies beyond.

    `value_s` is None when the curve does not come down that far; then `lower_bound_s` is the
    largest age at which more than the remaining share is known to wait. Otherwise both are equal.
    `ci_low_s` and `ci_high_s` are where the ends of the band come down so far, None where they do
    not or when no interval was asked for.
    """

    value_s: float | None
    lower_bound_s: float
    ci_low_s: float | None = None
    ci_high_s: float | None = None


class SurvivalCurve(msgspec.Struct, frozen=True, eq=False):
    """Share of orders not delivered at each age.

    Shapes: times_s and survival float64[k], ages ascending, S non-increasing and right-continuous:
    survival[i] holds from times_s[i] on, and S is 1 before the first. `horizon_s` is the largest age
    seen. With `is_interpolated` ln S is straight from (0, 0) through the points. `log_variance` is
    the variance of ln S at the points, float64[k] as well; empty means that it is not known.
    """

    times_s: FloatArray
    survival: FloatArray
    n_events: int
    n_censored: int
    horizon_s: float
    is_interpolated: bool = False
    log_variance: FloatArray = msgspec.field(default_factory=lambda: read_only(np.zeros(0)))

    @property
    def n(self) -> int:
        """How many orders were seen, delivered or not."""
        return self.n_events + self.n_censored

    def at(self, t_s: float) -> float:
        """S(t): share of orders delivered later than age t, in seconds; 1 before anything is known."""
        if self.is_interpolated and self.times_s.size:
            ages = np.concatenate(([0.0], self.times_s))
            return exp(-float(np.interp(t_s, ages, np.concatenate(([0.0], self._hazard())))))
        after = int(np.searchsorted(self.times_s, t_s, side="right"))
        return float(self.survival[after - 1]) if after else 1.0

    def quantile(self, q: float, z: float | None = None) -> Quantile:
        """Smallest age t with S(t) ≤ 1 - q; with the interval of the band of width z, if asked."""
        return self._reach(0.0, 1.0, q) if z is None else self.quantiles((q,), z)[0]

    def quantiles(self, shares: Sequence[float], z: float = Z95) -> list[Quantile]:
        """Several quantiles with their intervals, for the price of one band.

        The interval holds every age at which the band does not exclude the share 1 - q.
        Source: Brookmeyer and Crowley 1982.
        """
        found = [self._reach(0.0, 1.0, q) for q in shares]
        if self.n == 0:
            return found
        low, high = (np.minimum.accumulate(side) for side in self.band(z))
        wanted = [1.0 - min(max(q, 0.0), 1.0) for q in shares]
        return [
            Quantile(
                one.value_s,
                one.lower_bound_s,
                self._first_age(low, share),
                self._first_age(high, share),
            )
            for one, share in zip(found, wanted, strict=True)
        ]

    def band(self, z: float = Z95) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bounds of S at the points, each at its own confidence (z = 1.96: 95 %).

        Shapes: float64[k], float64[k], inside 0..1; (0, 1) everywhere when no variance is known.
        Log-log form, S ** exp(± z·σ / ln S). Where S is 0 the variance is not estimable: the lower
        bound is 0 and the upper one that of the age before.
        Source: Greenwood 1926 for the variance; Kalbfleisch and Prentice 1980 for the form.
        """
        if self.log_variance.size != self.survival.size:
            return np.zeros_like(self.survival), np.ones_like(self.survival)
        hazard = self._hazard()
        is_inside = (self.survival > 0.0) & (self.survival < 1.0)
        # Wider than e^20 changes no float: the band is the whole of 0..1 by then.
        spread = np.zeros_like(hazard)
        spread[is_inside] = z * np.sqrt(self.log_variance[is_inside]) / hazard[is_inside]
        spread = np.minimum(spread, 20.0)
        low = np.where(is_inside, np.exp(-hazard * np.exp(spread)), self.survival)
        high = np.where(is_inside, np.exp(-hazard * np.exp(-spread)), self.survival)
        is_gone = self.survival <= 0.0
        if is_gone.any():
            first = int(np.argmax(is_gone))
            high[first:] = high[first - 1] if first else 1.0
        return low, high

    def remaining_quantile(self, age_s: float, q: float) -> Quantile:
        """Total age at which a share q of the orders that already waited `age_s` is delivered.

        Nothing is known (None, bound = the age itself) when no order seen ever waited that long.
        """
        age_s = max(0.0, age_s)
        return self._reach(age_s, self.at(age_s), q)

    def probability_later_than(self, limit_s: float, age_s: float) -> float | None:
        """Probability that an order waiting since `age_s` is delivered after age `limit_s`.

        1 when the limit has passed; None when no order seen ever waited longer than `age_s`. A
        limit beyond the horizon gives the probability of the horizon, an upper bound.
        """
        age_s = max(0.0, age_s)
        if limit_s <= age_s:
            return 1.0
        waiting = self.at(age_s) if age_s > 0.0 else 1.0
        if self.n == 0 or waiting <= 0.0 or (age_s > 0.0 and age_s >= self.horizon_s):
            return None
        return min(1.0, self.at(limit_s) / waiting)

    def restricted_mean(self, tau_s: float = 1800.0) -> float | None:
        """Mean of min(delay, tau) in seconds, the area under S up to tau; None without observations.

        Orders that wait count with what the curve leaves open, so a window without any delivery
        gives tau itself: a number to show beside n, never to page on.
        Source: Royston and Parmar 2013; equals lifelines `restricted_mean_survival_time`.
        """
        if self.n == 0:
            return None
        tau_s = max(0.0, min(_LONGEST_S, tau_s))
        inner = int(np.searchsorted(self.times_s, tau_s, side="left"))
        edges = np.concatenate(([0.0], self.times_s[:inner], [tau_s]))
        start = np.concatenate(([1.0], self.survival[:inner]))
        if not self.is_interpolated:
            return float(np.sum(start * np.diff(edges)))
        end = np.append(self.survival[:inner], self.at(tau_s))
        drop = np.log(np.maximum(start, _SMALLEST)) - np.log(np.maximum(end, _SMALLEST))
        is_steep = drop > _STRAIGHT
        height = np.where(is_steep, (start - end) / np.where(is_steep, drop, 1.0), start)
        return float(np.sum(height * np.diff(edges)))

    def _hazard(self) -> FloatArray:
        """Cumulative hazard -ln S at the points, kept finite where S is 0."""
        return -np.log(np.maximum(self.survival, _SMALLEST))

    def _reach(self, age_s: float, waiting: float, q: float) -> Quantile:
        """Smallest age ≥ age_s at which S has come down to (1 - q) of `waiting` = S(age_s)."""
        if self.n == 0 or waiting <= 0.0:
            return Quantile(None, age_s)
        wanted = (1.0 - min(max(q, 0.0), 1.0)) * waiting
        if wanted >= waiting:
            return Quantile(age_s, age_s)
        found = self._first_age(self.survival, wanted)
        if found is None:
            return Quantile(None, max(age_s, self.horizon_s))
        return Quantile(max(age_s, found), max(age_s, found))

    def _first_age(self, shares: FloatArray, wanted: float) -> float | None:
        """Smallest age at which shares, which descend, have come down to `wanted`."""
        if wanted >= 1.0:
            return 0.0
        # Its negative ascends, which is what searchsorted wants.
        point = int(np.searchsorted(-shares, -wanted * (1.0 + _TIE), side="left"))
        return None if point == shares.size else self._age_inside(shares, point, wanted)

    def _age_inside(self, shares: FloatArray, point: int, wanted: float) -> float:
        """Age at which they equal `wanted` on the way down to a point; the point itself on a stair."""
        until = float(self.times_s[point])
        if not self.is_interpolated:
            return until
        since = float(self.times_s[point - 1]) if point else 0.0
        before = -log(max(float(shares[point - 1]), _SMALLEST)) if point else 0.0
        rise = -log(max(float(shares[point]), _SMALLEST)) - before
        if rise <= 0.0:
            return until
        share = (-log(max(wanted, _SMALLEST)) - before) / rise
        return since + min(max(share, 0.0), 1.0) * (until - since)
