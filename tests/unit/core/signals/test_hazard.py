"""The cumulative hazard: what a healthy channel owes an order of some age."""

import numpy as np
import pytest
from hypothesis import given
from scipy.stats import lognorm

from monitor.core.signals.hazard import SHIFT_MAX, UNIT, Hazard, Hazards
from monitor.core.signals.histogram import bucket_index, bucket_indices
from monitor.model.baselines import Baseline
from tests.unit.core.signals.strategies import ages_ms, int64


def baseline_of(delays_ms: list[int], never: int = 0, shifts: tuple[int, ...] = ()) -> Baseline:
    buckets, counts = np.unique(bucket_indices(int64(delays_ms)), return_counts=True)
    pairs = tuple(zip(buckets.tolist(), counts.tolist(), strict=True))
    return Baseline("a", len(delays_ms) + never, 0, 1, pairs, never, shifts)


def lognormal_delays(n: int, median_ms: float, sigma: float) -> list[int]:
    """Quantiles of a lognormal law."""
    shares = (np.arange(n) + 0.5) / n
    return [round(delay) for delay in lognorm(sigma, scale=median_ms).ppf(shares)]


def test_learned_hazard_is_minus_log_survival_of_the_delays() -> None:
    """10,000 lognormal delays: -ln S of scipy to 2 % where hundreds of orders are left."""
    hazard = Hazard.of(baseline_of(lognormal_delays(10_000, 8_000, 0.8)))
    ages = int64([2_000, 8_000, 20_000, 40_000])
    wanted = -lognorm(0.8, scale=8_000).logsf(ages.astype(float))
    assert hazard.at(ages) / UNIT == pytest.approx(wanted, rel=0.02)


def test_prior_is_lognormal_about_90_s_before_anything_is_learned() -> None:
    """Nothing says that an unknown shop is fast: the prior's median of 15 s is moved to 90 s."""
    ages = int64([30_000, 90_000, 180_000])
    wanted = -lognorm(1.2, scale=90_000).logsf(ages.astype(float))
    assert Hazard.of(None).at(ages, int64([83] * 3)) / UNIT == pytest.approx(wanted, rel=0.02)
    assert set(Hazard.of(None).shifts.tolist()) == {83}


def test_every_order_owes_one_delivery_on_average() -> None:
    """Σ H(delay) over the orders learned from is their number: O - E has no drift in health."""
    delays = lognormal_delays(5_000, 8_000, 0.8)
    owed = Hazard.of(baseline_of(delays)).at(int64(delays)).sum() / UNIT
    assert owed == pytest.approx(5_000, rel=0.02)


def test_delays_in_whole_seconds_do_not_owe_more_than_they_bring() -> None:
    """An atom of all orders at 1 s would be owed ln(n) deliveries by -ln S; here about one."""
    delays = [1_000] * 900 + [2_000] * 90 + [3_000] * 10
    owed = Hazard.of(baseline_of(delays)).at(int64(delays)).sum() / UNIT
    assert 0.5 * 1_000 < owed <= 1.05 * 1_000


def test_orders_never_delivered_keep_the_hazard_low() -> None:
    """When every second order is never delivered, half of the orders owe nothing more."""
    hazard = Hazard.of(baseline_of([1_000] * 10_000, never=10_000))
    assert hazard.at(int64([10_000]))[0] / UNIT == pytest.approx(0.5, abs=0.02)


def test_one_stuck_order_is_charged_only_so_much() -> None:
    """The tail ends where sixteen orders are left: ln(10,020 / 16) = 6.4."""
    hazard = Hazard.of(baseline_of(lognormal_delays(10_000, 8_000, 0.8)))
    assert hazard.at(int64([365 * 86_400_000]))[0] / UNIT == pytest.approx(6.44, abs=0.01)


def test_slow_hour_reads_the_hazard_of_a_younger_order() -> None:
    """32 buckets slower is twice as slow: age 20 s then counts as 10 s."""
    hazard = Hazard.of(baseline_of(lognormal_delays(2_000, 8_000, 0.8)))
    twice = hazard.at(int64([20_000, 7_000]), int64([32, -32]))
    assert twice.tolist() == pytest.approx(hazard.at(int64([10_000, 14_000])).tolist(), rel=1e-3)


@given(age=ages_ms, other=ages_ms)
def test_hazard_never_falls_and_begins_at_zero(age: int, other: int) -> None:
    """Monotone in age, 0 at 0, for any age a shop could send and any hour."""
    hazard = Hazard.of(baseline_of([15, 1_000, 8_000, 90_000] * 10, never=3))
    for shift in (-SHIFT_MAX, -1, 0, 7, SHIFT_MAX):
        young, old = sorted((age, other))
        low, high = hazard.at(int64([young, old]), int64([shift, shift])).tolist()
        assert 0 <= low <= high
        assert hazard.at(int64([0]), int64([shift]))[0] == 0


def test_look_up_of_many_channels_equals_each_alone() -> None:
    """A stack changes nothing; a bucket outside the range is brought back into it."""
    one, two = Hazard.of(baseline_of([5_000] * 50)), Hazard.of(baseline_of([60_000] * 50))
    stack = Hazards.of((one, two))
    ages = int64([1_000, 5_000, 70_000])
    together = stack.at(int64([0, 1, 0, 1, 0, 1]), np.repeat(ages, 2), None).reshape(3, 2)
    assert together[:, 0].tolist() == one.at(ages).tolist()
    assert together[:, 1].tolist() == two.at(ages).tolist()
    odd = Baseline("a", 2, 0, 1, ((-5, 1), (5_000, 1)))
    assert Hazard.of(odd).at(int64([10**9]))[0] > 0


def test_hour_in_which_an_order_was_paid_decides_its_shift() -> None:
    """Monday 01:00 is hour 1; an order paid at 00:59 still has the shift of hour 0."""
    shifts = (3, 9, *([0] * 166))
    stack = Hazards.of((Hazard.of(baseline_of([5_000] * 50, shifts=shifts)),))
    monday = 1_767_571_200_000
    paid = int64([monday + 59 * 60_000, monday + 60 * 60_000])
    assert stack.shifts_of(int64([0, 0]), paid, ()).tolist() == [3, 9]  # type: ignore[union-attr]  # hours differ
    assert bucket_index(5_000) > 0
