"""Tails and bounds against scipy, the table of `reference/alerting.md` §3, and by hand."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from monitor.core.signals.evidence import (
    binomial_tail,
    binomial_tails,
    is_significant,
    jeffreys_above,
    jeffreys_interval,
    rate_lower_bound,
    trimmed_mean_ms,
    wilson_interval,
)
from tests.unit.core.signals.strategies import ages_ms, int64, unhurried


@pytest.mark.parametrize("n", [1, 2, 10, 15, 16, 17, 1_000, 33_333, 1_000_000])
@pytest.mark.parametrize("p", [1e-6, 0.005, 0.02, 0.3, 0.5, 0.98, 1 - 1e-9])
def test_binomial_tail_equals_scipy(n: int, p: float) -> None:
    """To 1e-9 from the far left to the far right of the mean."""
    spread = math.sqrt(n * p * (1 - p)) + 1
    for deviations in (-8, -3, -1, 0, 1, 3, 8):
        k = min(n, max(0, round(n * p + deviations * spread)))
        expected = float(stats.binom.sf(k - 1, n, p))
        assert binomial_tail(k, n, p) == pytest.approx(expected, abs=1e-9), k
        if expected > 1e-290:
            assert binomial_tail(k, n, p) == pytest.approx(expected, rel=1e-7), k


def test_binomial_tail_by_hand() -> None:
    """One of ten at 2 % is 1 - 0.98**10; every one of three at a half is an eighth."""
    assert binomial_tail(1, 10, 0.02) == pytest.approx(1 - 0.98**10, rel=1e-12)
    assert binomial_tail(3, 3, 0.5) == pytest.approx(0.125, rel=1e-12)
    assert binomial_tail(0, 3, 0.5) == 1.0
    assert binomial_tail(4, 3, 0.5) == 0.0
    assert binomial_tail(1, 3, 0.0) == 0.0
    assert binomial_tail(3, 3, 1.0) == 1.0


@pytest.mark.parametrize(("k", "n"), [(12, 16), (17, 33), (20, 40), (41, 40), (3, 40), (70, 100)])
def test_binomial_tail_of_a_fair_coin_equals_the_fraction(k: int, n: int) -> None:
    """Counted in whole numbers: Σ C(n, j) / 2**n, to twelve digits."""
    expected = Fraction(sum(math.comb(n, j) for j in range(k, n + 1)), 2**n)
    assert binomial_tail(k, n, 0.5) == pytest.approx(float(expected), rel=2e-13)


@pytest.mark.parametrize(
    ("n", "at_95", "at_99"),
    [(5, 2, 2), (10, 2, 3), (20, 3, 3), (50, 4, 5), (100, 6, 7), (200, 8, 10), (1000, 29, 32)],
)
def test_smallest_count_that_fires_is_the_published_one(n: int, at_95: int, at_99: int) -> None:
    """Late orders of n needed to exceed 2 %, from the measured table."""
    for confidence, smallest in ((0.95, at_95), (0.99, at_99)):
        firing = [k for k in range(n + 1) if is_significant(k, n, 0.02, confidence)]
        assert firing[0] == smallest
        assert firing == list(range(smallest, n + 1))


def test_one_of_ten_is_chance_and_three_are_not() -> None:
    """The promise made to shop owners; and one of one never fires at 0.99."""
    assert not is_significant(1, 10, 0.02, 0.99)
    assert is_significant(3, 10, 0.02, 0.99)
    assert not is_significant(1, 1, 0.02, 0.99)
    assert not is_significant(0, 0, 0.02, 0.99)


def test_share_at_the_limit_is_not_above_it() -> None:
    """However many orders, exactly 50 % does not exceed 50 %."""
    assert not is_significant(500_000, 1_000_000, 0.5, 0.0)
    assert is_significant(500_001, 1_000_000, 0.5, 0.0)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (1, 10), (10, 10), (37, 200), (3, 100_000)])
def test_wilson_interval_equals_scipy(k: int, n: int) -> None:
    """Without continuity correction, at the confidence of z = 2.576."""
    level = 2 * float(stats.norm.cdf(2.576)) - 1
    expected = stats.binomtest(k, n).proportion_ci(level, method="wilson")
    found = wilson_interval(k, n)
    assert found == pytest.approx((float(expected.low), float(expected.high)), abs=1e-12)


def test_wilson_interval_of_nothing_is_everything() -> None:
    """No order says nothing about the share."""
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("n", [1, 5, 17, 1_000, 1_000_000])
@pytest.mark.parametrize("limit", [1e-6, 0.004, 0.02, 0.5, 0.999])
def test_jeffreys_posterior_equals_scipy(n: int, limit: float) -> None:
    """P(share > limit) to 1e-12, on both sides of the mean and at both ends of the counts."""
    near = round(n * limit)
    for k in sorted({0, 1, n, *(min(n, max(0, near + step)) for step in (-300, -9, 0, 9, 300))}):
        expected = float(special.betaincc(k + 0.5, n - k + 0.5, limit))
        assert jeffreys_above(k, n, limit) == pytest.approx(expected, abs=1e-12), k


@pytest.mark.parametrize(
    ("n", "at_95", "at_999"),
    [
        (10, 2, 3), (20, 2, 4), (50, 3, 6), (100, 5, 8), (200, 8, 12), (500, 16, 21),
        (1000, 28, 35),
    ],
)  # fmt: skip
def test_smallest_count_that_convinces_jeffreys_is_the_published_one(
    n: int, at_95: int, at_999: int
) -> None:
    """P(share > 2 %) of `reference/statistics.md` §2.6."""
    for wanted, smallest in ((0.95, at_95), (0.999, at_999)):
        enough = [k for k in range(n + 1) if jeffreys_above(k, n, 0.02) >= wanted]
        assert enough[0] == smallest


@pytest.mark.parametrize(("k", "n"), [(0, 10), (1, 10), (10, 10), (37, 200), (3, 100_000)])
def test_jeffreys_interval_equals_the_beta_quantiles(k: int, n: int) -> None:
    """Half of the rest on each side, and the end of the scale where nothing was seen beyond."""
    low, high = jeffreys_interval(k, n, 0.95)
    assert low == (0.0 if k == 0 else pytest.approx(stats.beta.ppf(0.025, k + 0.5, n - k + 0.5)))
    assert high == (1.0 if k == n else pytest.approx(stats.beta.ppf(0.975, k + 0.5, n - k + 0.5)))
    assert jeffreys_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("orders_max", [30, 1_000, 1_000_000])
def test_many_tails_equal_scipy(orders_max: int) -> None:
    """Relative to 1e-9 from four deviations below the mean to eight above, one limit or many."""
    random = np.random.default_rng(3)
    n = random.integers(1, orders_max + 1, 5_000)
    p = random.choice(np.array([1e-4, 0.005, 0.02, 0.288, 0.5, 0.98]), 5_000)
    away = random.uniform(-4, 8, 5_000) * (np.sqrt(n * p * (1 - p)) + 1)
    k = np.clip(np.rint(n * p + away), 0, n).astype(np.int64)
    expected = stats.binom.sf(k - 1, n, p)
    is_normal = expected > 1e-290
    np.testing.assert_allclose(binomial_tails(k, n, p)[is_normal], expected[is_normal], rtol=1e-9)
    same = stats.binom.sf(k - 1, n, 0.02)
    is_normal = same > 1e-290
    np.testing.assert_allclose(binomial_tails(k, n, 0.02)[is_normal], same[is_normal], rtol=1e-9)


def test_many_tails_at_the_ends_are_the_single_ones() -> None:
    """No hit, more hits than orders, no chance, certainty, nothing at all."""
    k, n = int64([0, -1, 4, 1, 3, 0, 3, 1]), int64([3, 3, 3, 3, 3, 0, 3, 1])
    p = np.array([0.5, 0.5, 0.5, 0.0, 1.0, 0.5, 0.5, 1e-300])
    expected = [binomial_tail(int(a), int(b), float(c)) for a, b, c in zip(k, n, p, strict=True)]
    assert binomial_tails(k, n, p).tolist() == pytest.approx(expected, rel=1e-12)
    assert binomial_tails(int64([]), int64([]), 0.02).shape == (0,)


@pytest.mark.parametrize("count", [1, 2, 5, 17, 200, 10_000, 1_000_000])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.99, 0.9999])
def test_rate_lower_bound_equals_the_gamma_quantile(count: int, confidence: float) -> None:
    """Garwood's bound, with scipy as the judge."""
    expected = float(stats.gamma.ppf(1 - confidence, count)) / 86_400_000
    assert rate_lower_bound(count, 86_400_000, confidence) == pytest.approx(expected, rel=1e-8)


def test_rate_of_one_event_by_hand() -> None:
    """P(X ≥ 1) = 1 - exp(-mean) = 0.01; no events or no time is no rate."""
    assert rate_lower_bound(1, 1_000) == pytest.approx(-math.log(0.99) / 1_000, rel=1e-10)
    assert rate_lower_bound(0, 1_000) == 0.0
    assert rate_lower_bound(5, 0) == 0.0


def test_trimmed_mean_leaves_out_one_stuck_order() -> None:
    """Nine at 10 s and one at an hour: 10 s; of 21 the two worst go; of one nothing is left."""
    assert trimmed_mean_ms(int64([3_600_000] + [10_000] * 9)) == 10_000.0
    assert trimmed_mean_ms(int64([3_600_000] + [10_000] * 19)) == 10_000.0
    assert trimmed_mean_ms(int64([3_600_000] * 2 + [10_000] * 19)) == 10_000.0
    assert trimmed_mean_ms(int64([3_600_000] * 3 + [10_000] * 19)) == pytest.approx(
        (19 * 10_000 + 3_600_000) / 20
    )
    assert trimmed_mean_ms(int64([5])) is None
    assert trimmed_mean_ms(int64([])) is None


@unhurried
@given(
    st.integers(-5, 300),
    st.integers(-5, 300),
    st.floats(-0.5, 1.5) | st.floats(0, 1e-300),
    st.floats(0, 1),
)
def test_any_counts_give_defined_evidence(k: int, n: int, p: float, confidence: float) -> None:
    """Probabilities stay in 0..1, intervals in order, and more bad ones are never less evidence."""
    tail = binomial_tail(k, n, p)
    assert 0.0 <= tail <= 1.0
    assert binomial_tail(k + 1, n, p) <= tail + 1e-12
    assert binomial_tails(int64([k]), int64([n]), p)[0] == pytest.approx(tail, abs=1e-9)
    assert 0.0 <= jeffreys_above(k, n, p) <= 1.0
    low, high = wilson_interval(k, n)
    assert 0.0 <= low <= high <= 1.0
    is_significant(k, n, p, confidence)
    assert 0.0 <= rate_lower_bound(k, n, confidence) < math.inf


@unhurried
@given(st.lists(ages_ms, max_size=40))
def test_trimmed_mean_of_anything_is_defined(delays: list[int]) -> None:
    """It lies between the smallest and the largest kept delay, computed in exact integers."""
    kept = sorted(max(0, delay) for delay in delays)[: len(delays) - max(1, -(-len(delays) // 20))]
    found = trimmed_mean_ms(int64(delays))
    assert found == (sum(kept) / len(kept) if kept else None)
    assert found is None or not np.isnan(found)
