"""Learned limits: realised exceedances on fresh orders, seasons, waiting orders, small history.

The realised shares of `reference/statistics.md` §5 are the expected values; the draws here are a
lognormal body with three of a hundred orders in a Pareto tail, as shops have.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from monitor.core.signals.arrays import FloatArray, IntArray
from monitor.core.signals.survival import NEVER_MS
from monitor.core.signals.thresholds import (
    NotLearnedError,
    Thresholds,
    _gpd_quantile,
    learn_thresholds,
    seasons,
)

FRESH = 1_000_000


def drawn(rng: np.random.Generator, n: int) -> FloatArray:
    """Delays in seconds."""
    body = np.exp(rng.normal(np.log(8.0), 0.5, n))
    tail = 30.0 * (rng.pareto(1.5, n) + 1.0)
    return np.where(rng.random(n) < 0.03, tail, body)


def learned(delays_s: FloatArray, target: float, hours: IntArray | None = None) -> Thresholds:
    """Limits from orders that were all delivered."""
    n = delays_s.size
    hours = np.zeros(n, np.int64) if hours is None else hours
    return learn_thresholds((delays_s * 1000).astype(np.int64), np.ones(n, np.bool_), hours, target)


# n, target, method, lowest and highest mean of the realised share over the seeds.
@pytest.mark.parametrize(
    ("n", "target", "method", "low", "high"),
    [
        (200, 0.01, "pot", 0.0100, 0.0145),
        (200, 0.001, "pot", 0.0010, 0.0030),
        (999, 0.01, "pot", 0.0095, 0.0130),
        (999, 0.001, "pot", 0.0006, 0.0015),
        (1_000, 0.01, "quantile", 0.0095, 0.0125),
        (1_000, 0.001, "quantile", 0.0010, 0.0021),
        (5_000, 0.01, "quantile", 0.0095, 0.0108),
        (5_000, 0.001, "quantile", 0.0008, 0.0014),
    ],
)
def test_fresh_orders_exceed_the_limit_about_as_often_as_asked(
    n: int, target: float, method: str, low: float, high: float
) -> None:
    """Sixty histories of each size; what is realised is the share of a million fresh orders."""
    fresh = np.sort(drawn(np.random.default_rng(0), FRESH))
    shares = []
    for seed in range(1, 61):
        limits = learned(drawn(np.random.default_rng(seed), n), target)
        assert limits.method == method
        shares.append(1.0 - np.searchsorted(fresh, limits.overall_s) / FRESH)
    assert low <= np.mean(shares) <= high


def test_small_history_is_closer_with_the_fitted_tail_than_with_the_plain_quantile() -> None:
    """200 orders, one of a thousand: 0.24 % against 0.41 % in the reference."""
    fresh = np.sort(drawn(np.random.default_rng(0), FRESH))
    fitted, plain = [], []
    for seed in range(1, 61):
        delays = drawn(np.random.default_rng(seed), 200)
        fitted.append(1.0 - np.searchsorted(fresh, learned(delays, 0.001).overall_s) / FRESH)
        plain.append(1.0 - np.searchsorted(fresh, np.quantile(delays, 0.999)) / FRESH)
    assert np.mean(fitted) < 0.75 * np.mean(plain)


@pytest.mark.parametrize("shape", [-0.3, -1e-12, 0.2, 0.6])
def test_tail_with_exact_moments_is_scipys_generalised_pareto(shape: float) -> None:
    """Moments α_s = σ/((s+1)(s+1+k)) of a GPD give its quantiles back (scipy's c is -k)."""
    scale, k = 1.7, -shape
    mean, weighted = scale / (1.0 + k), scale / (2.0 * (2.0 + k))
    for share in (0.5, 0.1, 0.01):
        expected = float(stats.genpareto.isf(share, c=shape, scale=scale))
        assert _gpd_quantile(mean, weighted, share) == pytest.approx(expected, rel=1e-6)


def test_limit_per_hour_keeps_the_worst_hour_near_the_target() -> None:
    """A week whose hours differ up to threefold: one limit fails its worst hour, these do not."""
    rng = np.random.default_rng(7)
    slow = np.exp(0.5 * np.sin(np.arange(168) / 24 * 2 * np.pi) + rng.normal(0, 0.15, 168))
    hours = rng.integers(0, 168, 40_000)
    limits = learned(drawn(rng, hours.size) * slow[hours], 0.01, hours)
    fresh = np.sort(drawn(rng, FRESH))

    def shares(limits_s: FloatArray) -> FloatArray:
        return 1.0 - np.searchsorted(fresh, limits_s / slow) / FRESH

    by_hour = shares(np.array(limits.by_hour_s))
    assert np.max(by_hour) < 0.020
    assert np.mean(by_hour) == pytest.approx(0.010, abs=0.002)
    one_for_all = learned(drawn(rng, hours.size) * slow[hours], 0.01).overall_s
    assert np.max(shares(np.full(168, one_for_all))) > 0.020
    assert limits.hour_n[5] == int(np.sum(hours == 5))


def test_hour_with_few_orders_stays_near_the_overall_median() -> None:
    """20 orders at twice the delay move the season by half of ln 2, an hour without by nothing."""
    hours = np.array([0] * 10_000 + [1] * 20)
    durations = np.array([10_000] * 10_000 + [20_000] * 20)
    season, counts = seasons(durations, np.ones(hours.size, np.bool_), hours)
    assert season[0] == 0.0
    assert season[1] == pytest.approx(0.5 * np.log(2.0))
    assert season[2] == 0.0
    assert list(counts[:3]) == [10_000, 20, 0]


def test_waiting_orders_are_not_missing() -> None:
    """Orders still waiting after 30 s push the limit up; leaving them out would hide them."""
    rng = np.random.default_rng(3)
    delays_ms = (drawn(rng, 20_000) * 1000).astype(np.int64)
    ages_ms = rng.integers(1_000, 120_000, delays_ms.size)
    is_delivered = delays_ms <= ages_ms
    seen = np.where(is_delivered, delays_ms, ages_ms)
    hours = np.zeros(seen.size, np.int64)
    truth = float(np.quantile(delays_ms, 0.98)) / 1000
    counted = learn_thresholds(seen, is_delivered, hours, 0.02).overall_s
    finished = seen[is_delivered]
    dropped = learn_thresholds(
        finished, np.ones(finished.size, np.bool_), hours[: finished.size], 0.02
    ).overall_s
    assert counted == pytest.approx(truth, rel=0.15)
    assert dropped < 0.8 * truth


@pytest.mark.parametrize("n", [400, 4_000])
def test_orders_closed_undelivered_count_as_beyond_every_limit(n: int) -> None:
    """With 1 % never delivered a target of 2 % leaves 1.01 % for those delivered at last."""
    delays_ms = (drawn(np.random.default_rng(5), n) * 1000).astype(np.int64)
    is_delivered = np.arange(n) % 100 != 0
    durations = np.where(is_delivered, delays_ms, NEVER_MS)
    limits = learn_thresholds(durations, is_delivered, np.zeros(n, np.int64), 0.02)
    beyond = np.mean(durations > 1000 * limits.overall_s)
    assert beyond == pytest.approx(0.02, abs=0.008)
    with pytest.raises(NotLearnedError, match=r"1\.0% of the orders were not delivered"):
        learn_thresholds(durations, is_delivered, np.zeros(n, np.int64), 0.01)


def test_fewer_than_fifty_orders_are_too_few() -> None:
    """49 say nothing, 50 something, even when every delay is the same or zero."""
    with pytest.raises(NotLearnedError, match="49 orders are too few; at least 50"):
        learned(np.full(49, 8.0), 0.01)
    assert learned(np.full(50, 8.0), 0.01).overall_s == pytest.approx(8.0)
    assert learned(np.zeros(50), 0.01).overall_s == pytest.approx(0.001)
