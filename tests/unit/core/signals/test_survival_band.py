"""Greenwood's band against lifelines, the bucketed cohort, and what must not be called censoring."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.bench_survival import (
    DIFFERENCE_MAX,
    SCENARIOS,
    cohort_differences,
    period_difference,
    shop,
)
from monitor.core.signals.curve import Z95, Quantile, SurvivalCurve
from monitor.core.signals.survival import (
    NEVER_MS,
    CohortCounts,
    cohort,
    cohort_counts,
    cohort_on_buckets,
    merge_cohorts,
    period,
)
from tests.unit.core.signals.strategies import YEAR_MS, ages_ms, bools, int64, unhurried

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lifelines import KaplanMeierFitter


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("n", [200, 1_000, 10_000])
def test_cohort_is_within_a_thousandth_of_lifelines(scenario: str, n: int) -> None:
    """Exact at every step, and from counts at the end of every bucket."""
    exact, on_buckets = cohort_differences(scenario, n, seed=n)
    assert exact < 1e-9
    assert on_buckets <= DIFFERENCE_MAX


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_period_is_within_a_thousandth_of_lifelines(scenario: str) -> None:
    """Left-truncated, two thousand orders in the window."""
    assert period_difference(scenario, 2_000, seed=2_000) <= DIFFERENCE_MAX


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("n", [5, 200, 2_000])
def test_band_equals_that_of_lifelines(scenario: str, n: int) -> None:
    """Log-log Greenwood at 95 %, at every step where S is neither 1 nor 0."""
    durations, is_delivered = shop(scenario, n, seed=n + 1).cohort
    found = cohort(durations, is_delivered)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = KaplanMeierFitter().fit(durations / 1000, is_delivered)
    expected = fitted.confidence_interval_
    low, high = found.band()
    is_inside = (found.survival > 1e-9) & (found.survival < 1)
    ages = found.times_s[is_inside]
    np.testing.assert_allclose(low[is_inside], expected.loc[ages].iloc[:, 0], atol=1e-9)
    np.testing.assert_allclose(high[is_inside], expected.loc[ages].iloc[:, 1], atol=1e-9)
    assert np.count_nonzero(is_inside) > 0


def test_band_by_hand() -> None:
    """Ten orders, one delivered: S = 0.9, var(ln S) = 1/90, 95 % band 0.473 … 0.985 (textbook)."""
    found = cohort(int64([1_000, *[9_000] * 9]), bools([True] + [False] * 9))
    assert found.log_variance.tolist() == pytest.approx([1 / 90])
    low, high = found.band()
    assert (low[0], high[0]) == (pytest.approx(0.4730, abs=5e-5), pytest.approx(0.9853, abs=5e-5))


def test_nobody_left_has_no_upper_end_but_the_one_before() -> None:
    """S = 0 has no variance: the band there is 0 up to what it was, never NaN."""
    found = cohort(int64([1_000, 2_000]), bools([True, True]))
    low, high = found.band()
    assert low[1] == 0.0
    assert high[1] == high[0] < 1.0
    alone = cohort(int64([1_000]), bools([True]))
    assert [side.tolist() for side in alone.band()] == [[0.0], [1.0]]


def test_unknown_variance_excludes_nothing() -> None:
    """A curve made by hand has the widest band there is and no interval."""
    found = SurvivalCurve(np.array([1.0]), np.array([0.2]), 8, 2, 1.0)
    assert [side.tolist() for side in found.band()] == [[0.0], [1.0]]
    assert found.quantile(0.5, Z95) == Quantile(1.0, 1.0, 1.0, None)


def test_interval_of_a_percentile_by_hand() -> None:
    """Median of 1 … 20 s: the ages at which the band passes one half, read off lifelines' table."""
    durations = int64(list(range(1_000, 21_000, 1_000)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        band = KaplanMeierFitter().fit(durations / 1000, [True] * 20).confidence_interval_
    low, high = (float(band.index[(band.iloc[:, side] <= 0.5).argmax()]) for side in (0, 1))
    found = cohort(durations, bools([True] * 20)).quantile(0.5, Z95)
    assert found == Quantile(10.0, 10.0, low, high)
    assert low < 10.0 < high


def test_interval_ends_where_the_data_end() -> None:
    """Nine of ten delivered: p90 is reached, the upper end of its interval is not."""
    found = cohort(int64([*range(1_000, 10_000, 1_000), 60_000]), bools([True] * 9 + [False]))
    reached = found.quantile(0.9, Z95)
    assert reached.value_s == 9.0
    assert reached.ci_low_s is not None
    assert reached.ci_high_s is None
    assert found.quantile(0.99, Z95).value_s is None


@pytest.mark.parametrize("estimator", ["cohort", "buckets", "period"])
def test_interval_holds_the_truth_as_often_as_it_says(estimator: str) -> None:
    """95 % intervals of p90 over 400 shops of 150 orders: 91 to 99 % of them hold the true 23.1 s."""
    truth_s = 8 * math.exp(0.8 * 1.2815515655446004) + 0.0  # p90 of lognormal(8 s, 0.8)
    random = np.random.default_rng(11)
    hits = 0
    for _ in range(400):
        delays = (8_000 * random.lognormal(0.0, 0.8, 150)).astype(np.int64)
        ages = random.integers(0, 120_000, 150)
        durations, is_delivered = np.minimum(delays, ages), delays <= ages
        if estimator == "cohort":
            found = cohort(durations, is_delivered)
        elif estimator == "buckets":
            found = cohort_on_buckets(cohort_counts(durations, is_delivered))
        else:
            found = period(np.zeros_like(durations), durations, is_delivered)
        interval = found.quantile(0.9, Z95)
        low, high = interval.ci_low_s, interval.ci_high_s
        hits += low is not None and low <= truth_s and (high is None or truth_s <= high)
    assert 0.91 <= hits / 400 <= 0.99


@unhurried
@given(
    st.lists(st.tuples(ages_ms, st.booleans()), max_size=30),
    st.integers(0, 30),
)
def test_cohorts_of_shards_add_to_the_whole(rows: list[tuple[int, bool]], cut: int) -> None:
    """Any cut, in any order: the same counts and the same curve, bit for bit."""

    def counted(part: list[tuple[int, bool]]) -> CohortCounts:
        return cohort_counts(int64([one[0] for one in part]), bools([one[1] for one in part]))

    whole, merged = counted(rows), merge_cohorts([counted(rows[cut:]), counted(rows[:cut])])
    for name in ("events", "censored", "event_ms", "censored_ms"):
        assert getattr(whole, name).tolist() == getattr(merged, name).tolist()
    assert whole.never == merged.never
    assert cohort_on_buckets(whole).survival.tobytes() == (
        cohort_on_buckets(merged).survival.tobytes()
    )


def test_cancelled_orders_are_late_not_censored() -> None:
    """Ten of a hundred stuck and cancelled at 100 s: 10 % late; called censored it would be none."""
    healthy = [8_000 + 100 * number for number in range(90)]
    is_delivered = bools([True] * 90 + [False] * 10)
    right = int64(healthy + [NEVER_MS] * 10)
    for found in (
        cohort(right, is_delivered),
        cohort_on_buckets(cohort_counts(right, is_delivered)),
    ):
        assert found.at(180.0) == pytest.approx(0.10, abs=1e-9)
        assert found.quantile(0.95).value_s is None
    late_one = int64([*healthy[:-1], 150_000, *[100_000] * 10])
    wrong = cohort(late_one, is_delivered)
    assert wrong.at(180.0) == 0.0


def test_all_refunded_or_one_order_or_a_year_is_defined() -> None:
    """Nothing is delivered, one is, one was a year ago: numbers with a bound, never NaN."""
    refunded = cohort_on_buckets(cohort_counts(int64([NEVER_MS] * 3), bools([False] * 3)))
    assert refunded.quantile(0.5, Z95) == Quantile(None, 0.0)
    assert (refunded.n_events, refunded.n_censored, refunded.restricted_mean()) == (0, 3, 1800.0)
    year = cohort_on_buckets(cohort_counts(int64([YEAR_MS, -5]), bools([True, True])))
    median = year.quantile(0.5, Z95)
    assert median.value_s is not None
    assert 0.0 < median.value_s <= 2**-6 * 2 ** (1 / 32)
    slowest = year.quantile(1.0).value_s
    assert slowest is not None
    assert slowest == pytest.approx(YEAR_MS / 1000, rel=0.022)
