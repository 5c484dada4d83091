"""Survival curves against lifelines, and by hand where two shops would see different things."""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.signals.curve import Z95
from monitor.core.signals.histogram import LOWER_S, UPPER_S
from monitor.core.signals.survival import (
    NEVER_MS,
    Exposure,
    Quantile,
    SurvivalCurve,
    cohort,
    cohort_counts,
    cohort_on_buckets,
    curve,
    exposure,
    mean_lower_bound_s,
    merge_cohorts,
    merge_exposures,
    period,
)
from tests.unit.core.signals.strategies import ages_ms, bools, int64, shares, unhurried

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lifelines import KaplanMeierFitter
    from lifelines.utils import restricted_mean_survival_time

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def orders(n: int, seed: int, *, tick_ms: int = 1, never: float = 0.0) -> tuple[Ints, Bools]:
    """Delays with a slow 5 %, seen at random ages; some closed undelivered."""
    random = np.random.default_rng(seed)
    delays = random.lognormal(math.log(8_000), 0.8, n)
    is_slow = random.random(n) < 0.05
    delays[is_slow] = random.lognormal(math.log(200_000), 1.0, int(is_slow.sum()))
    ages = random.uniform(0, 900_000, n)
    is_delivered = delays <= ages
    durations = (np.minimum(delays, ages) // tick_ms * tick_ms).astype(np.int64)
    is_closed = random.random(n) < never
    durations[is_closed] = NEVER_MS
    return durations, is_delivered & ~is_closed


def window(n: int, seed: int, tick_ms: int) -> tuple[Ints, Ints, Bools]:
    """Entry age, exit age and delivery of orders alive in a window of 5 min, 15 min of history."""
    length = 300_000
    random = np.random.default_rng(seed)
    paid = random.integers(-900_000, length, n)
    delays = random.lognormal(math.log(20_000), 1.0, n)
    is_slow = random.random(n) < 0.1
    delays[is_slow] = random.lognormal(math.log(300_000), 1.0, int(is_slow.sum()))
    ends = paid + (delays // tick_ms * tick_ms).astype(np.int64)
    entry = np.maximum(0, -paid)
    leave = np.minimum(ends, length) - paid
    keep = (ends > 0) & (leave > entry)
    return entry[keep], leave[keep], (ends <= length)[keep]


def fitted(
    durations_s: npt.NDArray[np.float64],
    is_delivered: Bools,
    entry_s: npt.NDArray[np.float64] | None = None,
) -> KaplanMeierFitter:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return KaplanMeierFitter().fit(durations_s, is_delivered, entry=entry_s)


@pytest.mark.parametrize("n", [1, 2, 7, 200, 5_000])
@pytest.mark.parametrize("tick_ms", [1, 1_000])
@pytest.mark.parametrize("never", [0.0, 0.2])
def test_cohort_equals_lifelines(n: int, tick_ms: int, never: float) -> None:
    """S to 1e-9 at every age seen, percentiles exactly, restricted mean to 1e-9."""
    durations, is_delivered = orders(n, seed=n, tick_ms=tick_ms, never=never)
    found = cohort(durations, is_delivered)
    reference = fitted(np.minimum(durations, 10**12) / 1000, is_delivered)
    steps = reference.survival_function_["KM_estimate"]
    for age, expected in itertools.islice(steps.items(), 0, None, max(1, n // 300)):
        assert found.at(float(age)) == pytest.approx(float(expected), abs=1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mean = float(restricted_mean_survival_time(reference, t=1800.0))
    assert found.restricted_mean() == pytest.approx(mean, rel=1e-9)
    survival = steps.to_numpy()
    for q in (0.1, 0.503, 0.9, 0.95, 0.99):
        # The first age whose share is small enough; a tie may be an ulp off in lifelines' logs.
        reached = steps.index[survival <= (1 - q) * (1 + 1e-9)]
        expected_s = float(reached[0]) if len(reached) else None
        assert found.quantile(q).value_s == expected_s
    assert found.n_events == int(is_delivered.sum())
    assert found.n == n


@pytest.mark.parametrize("seed", range(5))
def test_weighted_cohort_equals_the_orders_written_out(seed: int) -> None:
    """A duration that stands for many orders (or none) counts as if each were there."""
    durations, is_delivered = orders(40, seed=seed, tick_ms=1_000, never=0.2)
    weights = np.random.default_rng(seed).integers(0, 9, 40)
    found = cohort(durations, is_delivered, weights)
    written = cohort(np.repeat(durations, weights), np.repeat(is_delivered, weights))
    assert found.times_s.tolist() == written.times_s.tolist()
    assert found.survival.tolist() == written.survival.tolist()
    assert (found.n_events, found.n, found.horizon_s) == (
        written.n_events, written.n, written.horizon_s,
    )  # fmt: skip


def test_percentile_off_a_tie_equals_lifelines_percentile() -> None:
    """The library's own percentile call, at shares no step can hit."""
    durations, is_delivered = orders(3_000, seed=5)
    reference = fitted(durations / 1000, is_delivered)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [
            float(reference.percentile(1 - q)) for q in (0.30001, 0.50001, 0.90001, 0.95001)
        ]
    found = cohort(durations, is_delivered)
    assert [found.quantile(q).value_s for q in (0.30001, 0.50001, 0.90001, 0.95001)] == expected


def test_nine_of_ten_delivered_reaches_p90_exactly() -> None:
    """1 - 0.9 is not 0.1 in floats; the ninth delivery is p90 all the same."""
    found = cohort(int64([*range(1_000, 10_000, 1_000), 60_000]), bools([True] * 9 + [False]))
    assert found.quantile(0.9) == Quantile(9.0, 9.0)
    assert found.quantile(0.95) == Quantile(None, 60.0)


def test_refunded_order_stays_at_risk_for_ever() -> None:
    """By hand: of four, two delivered at 1 and 2 s, one refunded, one waits at 1.5 s."""
    found = cohort(int64([1_000, 2_000, NEVER_MS, 1_500]), bools([True, True, False, False]))
    assert found.times_s.tolist() == [1.0, 2.0]
    np.testing.assert_allclose(found.survival, [3 / 4, 3 / 8], rtol=1e-15)
    assert found.horizon_s == 2.0
    assert (found.n_events, found.n_censored) == (2, 2)
    assert found.quantile(0.9) == Quantile(None, 2.0)


def test_delivered_after_never_is_not_delivered() -> None:
    """The sentinel outranks a contradicting flag: no step 142,000 years from now."""
    for found in (
        cohort(int64([NEVER_MS]), bools([True])),
        period(int64([0]), int64([NEVER_MS]), bools([True])),
    ):
        assert (found.n_events, found.n_censored) == (0, 1)
        assert found.quantile(0.5).value_s is None


def test_total_outage_has_no_percentile_but_a_bound() -> None:
    """Nobody delivered: every percentile is later than the oldest order, the mean is tau."""
    found = cohort(int64([5_000, 400_000]), bools([False, False]))
    assert found.quantile(0.5) == Quantile(None, 400.0)
    assert found.restricted_mean() == 1800.0
    assert mean_lower_bound_s(int64([5_000, 400_000])) == 202.5


def test_restricted_mean_by_hand() -> None:
    """Areas of a staircase 1, ½, ½ and of the same cut at its first step."""
    found = cohort(int64([10_000, 40_000]), bools([True, False]))
    assert found.restricted_mean(100.0) == pytest.approx(10 + 90 / 2)
    assert found.restricted_mean(10.0) == pytest.approx(10.0)
    assert found.restricted_mean(0.0) == 0.0


def test_conditional_questions_by_hand() -> None:
    """Ten deliveries at 1 … 10 s: having waited 5 s, five are left, and half of those by 8 s."""
    found = cohort(int64([1_000 * age for age in range(1, 11)]), bools([True] * 10))
    assert found.remaining_quantile(5.0, 0.5) == Quantile(8.0, 8.0)
    assert found.remaining_quantile(5.0, 0.9) == Quantile(10.0, 10.0)
    assert found.remaining_quantile(5.0, 0.0) == Quantile(5.0, 5.0)
    assert found.probability_later_than(7.0, 5.0) == pytest.approx(3 / 5)
    assert found.probability_later_than(7.0, 0.0) == pytest.approx(3 / 10)
    assert found.probability_later_than(7.0, 7.0) == 1.0
    assert found.remaining_quantile(11.0, 0.5) == Quantile(None, 11.0)
    assert found.probability_later_than(20.0, 11.0) is None


def test_older_than_anything_seen_is_unknown() -> None:
    """Beyond the horizon a level curve is no knowledge."""
    found = cohort(int64([1_000, 60_000]), bools([True, False]))
    assert found.probability_later_than(180.0, 61.0) is None
    assert found.probability_later_than(180.0, 30.0) == 1.0
    assert found.remaining_quantile(61.0, 0.5) == Quantile(None, 61.0)


@pytest.mark.parametrize("tick_ms", [1, 1_000, 5_000])
@pytest.mark.parametrize("n", [8_000, 40_000])
def test_period_equals_left_truncated_lifelines(n: int, tick_ms: int) -> None:
    """|ΔS| ≤ 0.001 at the bucket edges, also where a shop's clock counts whole seconds."""
    for seed in range(3):
        entry, leave, is_delivered = window(n, seed, tick_ms)
        assert leave.size >= 2_000
        found = period(entry, leave, is_delivered)
        reference = fitted(leave / 1000, is_delivered, entry / 1000)
        ages = UPPER_S[160 : found.times_s.size]
        expected = reference.survival_function_at_times(ages).to_numpy()
        assert np.abs(found.survival[160:] - expected).max() <= 0.001


def test_period_equals_the_occurrence_exposure_rate_on_smooth_delays() -> None:
    """With delays spread over the bucket S is exp(-Σ e·w/E), E being the stored order-time."""
    entry, leave, is_delivered = window(60_000, 9, 1)
    sums = exposure(entry, leave, is_delivered)
    seconds = np.maximum(sums.person_ms, 1) / 1000
    literal = np.exp(-np.cumsum(sums.events * (UPPER_S - LOWER_S) / seconds))
    found = curve(sums)
    assert np.abs(found.survival - literal[: found.survival.size]).max() <= 0.001


def test_person_time_is_the_time_spent_in_the_window() -> None:
    """Order-milliseconds over all buckets are Σ (exit - entry), and none lie outside them."""
    entry, leave, is_delivered = window(5_000, 4, 1)
    sums = exposure(entry, leave, is_delivered)
    assert int(sums.person_ms.sum()) == int((leave - entry).sum())
    one = exposure(int64([1_500]), int64([3_000]), bools([True]))
    spent = np.flatnonzero(one.person_ms)
    assert 1.4 < float(LOWER_S[spent[0]]) <= 1.5 <= float(UPPER_S[spent[0]])
    assert float(LOWER_S[spent[-1]]) < 3.0 <= float(UPPER_S[spent[-1]])


def test_orders_all_delivered_after_one_second_reach_every_percentile() -> None:
    """The literal rate e·w/E would leave S = 0.37 there and report p90 as not reached."""
    found = period(int64([0] * 200), int64([1_000] * 200), bools([True] * 200))
    for q in (0.5, 0.9, 0.99):
        value = found.quantile(q).value_s
        assert value is not None
        assert 0.978 < value <= 1.0
    zero = period(int64([0] * 200), int64([0] * 200), bools([True] * 200))
    instant = zero.quantile(0.99).value_s
    assert instant is not None
    assert 0.0 < instant <= 0.016


def test_lone_young_delivery_does_not_hide_the_stuck_ones() -> None:
    """One order delivered at 3 s while 30 wait at 10 min: p90 is not 3 s."""
    found = period(
        int64([0, *[600_000] * 30]), int64([3_000, *[660_000] * 30]), bools([True] + [False] * 30)
    )
    reached = found.quantile(0.9)
    assert reached.value_s is None
    assert 640.0 < reached.lower_bound_s <= 660.0


def test_outage_window_forgets_the_healthy_past() -> None:
    """A minute without deliveries: S is 1 however many were delivered before."""
    found = period(int64([0, 20_000, 40_000]), int64([60_000, 80_000, 100_000]), bools([False] * 3))
    assert found.at(90.0) == 1.0
    assert found.quantile(0.5).value_s is None
    assert 97.0 < found.quantile(0.5).lower_bound_s <= 100.0


def test_restricted_mean_of_a_period_is_the_area_of_its_curve() -> None:
    """Against a fine midpoint sum over the curve itself and against lifelines."""
    entry, leave, is_delivered = window(40_000, 3, 1)
    found = period(entry, leave, is_delivered)
    ages = (np.arange(18_000) + 0.5) / 100
    area = float(np.mean([found.at(float(age)) for age in ages])) * 180.0
    assert found.restricted_mean(180.0) == pytest.approx(area, rel=1e-4)
    reference = fitted(leave / 1000, is_delivered, entry / 1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = float(restricted_mean_survival_time(reference, t=180.0))
    assert found.restricted_mean(180.0) == pytest.approx(expected, rel=2e-3)


def test_quantile_of_a_period_undoes_its_curve() -> None:
    """S(quantile(q)) = 1 - q inside buckets too, conditional or not."""
    found = period(*window(20_000, 6, 1))
    for q in (0.1, 0.5, 0.8, 0.9):
        value = found.quantile(q).value_s
        assert value is not None
        assert found.at(value) == pytest.approx(1 - q, abs=1e-9)
        later = found.remaining_quantile(30.0, q / 2).value_s
        assert later is not None
        assert found.at(later) == pytest.approx(found.at(30.0) * (1 - q / 2), abs=1e-9)


def test_shards_of_a_window_merge_bit_for_bit() -> None:
    """Orders dealt to seven shards in any order give the curve of one."""
    entry, leave, is_delivered = window(20_000, 8, 1)
    whole = exposure(entry, leave, is_delivered)
    shard = np.random.default_rng(0).integers(0, 7, entry.size)
    parts = [
        exposure(entry[shard == k], leave[shard == k], is_delivered[shard == k]) for k in range(7)
    ]
    merged = merge_exposures(parts[::-1])
    for name in ("events", "person_ms", "held_ms"):
        np.testing.assert_array_equal(getattr(merged, name), getattr(whole, name))
    assert merged.censored == whole.censored
    assert curve(merged).survival.tobytes() == curve(whole).survival.tobytes()


def test_nothing_seen_gives_no_number() -> None:
    """No orders: S is 1, nothing is reached, no mean, whichever estimator."""
    none, nobody = int64([]), bools([])
    for found in (
        cohort(none, nobody),
        period(none, none, nobody),
        curve(merge_exposures([])),
        cohort_on_buckets(merge_cohorts([])),
    ):
        assert found.at(100.0) == 1.0
        assert found.quantile(0.5) == Quantile(None, 0.0)
        assert found.restricted_mean() is None
        assert found.probability_later_than(180.0, 0.0) is None
    assert mean_lower_bound_s(none) is None
    assert mean_lower_bound_s(int64([NEVER_MS])) is None


def test_exposure_can_be_built_from_counts_and_order_time() -> None:
    """Ten deliveries in 100 order-buckets at 1 s: about one in ten is gone at its end."""
    events, person = np.zeros(1024, dtype=np.int64), np.zeros(1024, dtype=np.int64)
    events[191], person[191] = 10, 100 * 21
    found = curve(Exposure(events=events, person_ms=person, censored=90))
    assert found.at(1.0) == pytest.approx(0.9, abs=0.01)


def _check(found: SurvivalCurve, q: float, age_s: float, limit_s: float) -> None:
    assert np.all((found.survival >= 0) & (found.survival <= 1))
    assert np.all(np.diff(found.survival) <= 0)
    assert np.all(np.diff(found.times_s) > 0)
    low, high = found.band()
    assert np.all((low >= 0) & (low <= found.survival) & (found.survival <= high) & (high <= 1))
    asked = found.quantile(q, Z95)
    assert (asked.value_s, asked.lower_bound_s) == (
        found.quantile(q).value_s,
        found.quantile(q).lower_bound_s,
    )
    assert asked.ci_low_s is None or math.isfinite(asked.ci_low_s)
    if asked.value_s is not None:
        assert asked.ci_low_s is not None
        assert asked.ci_low_s <= asked.value_s
    assert asked.ci_high_s is None or asked.ci_high_s >= asked.lower_bound_s
    assert 0.0 <= found.at(age_s) <= 1.0
    for reached in (found.quantile(q), found.remaining_quantile(age_s, q)):
        assert math.isfinite(reached.lower_bound_s)
        assert reached.lower_bound_s >= 0.0
        assert reached.value_s in {None, reached.lower_bound_s}
    later = found.probability_later_than(limit_s, age_s)
    assert later is None or 0.0 <= later <= 1.0
    mean = found.restricted_mean(limit_s)
    assert (mean is None) == (found.n == 0)
    assert mean is None or 0.0 <= mean <= max(limit_s, 0.0) + 1e-6


@unhurried
@given(
    st.lists(st.tuples(ages_ms, ages_ms, st.booleans()), max_size=20),
    shares,
    st.floats(-10, 1e9),
    st.floats(-10, 1e9),
)
def test_any_input_gives_a_defined_curve(
    rows: list[tuple[int, int, bool]], q: float, age_s: float, limit_s: float
) -> None:
    """Negative, huge, contradictory: S descends within 0..1 and no question fails or gives NaN."""
    first = int64([row[0] for row in rows])
    second = int64([row[1] for row in rows])
    is_delivered = bools([row[2] for row in rows])
    _check(cohort(first, is_delivered), q, age_s, limit_s)
    _check(period(first, second, is_delivered), q, age_s, limit_s)
    _check(cohort_on_buckets(cohort_counts(first, is_delivered)), q, age_s, limit_s)
    bound = mean_lower_bound_s(first)
    assert bound is None or 0.0 <= bound <= NEVER_MS / 1000
