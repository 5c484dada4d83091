"""The health index by hand, its additivity and its edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.signals.health import (
    COMPONENTS,
    HealthSums,
    health_from_sums,
    health_index,
    health_sums,
    loss,
    merge_health_sums,
)
from tests.unit.core.signals.strategies import ages_ms, int64, unhurried

NONE = int64([])


def test_loss_at_and_between_the_anchors() -> None:
    """0 to 60 s, ½ at 5 min, 1 from 30 min on; half-way in ln age is half-way in loss."""
    first, second = math.sqrt(60 * 300), math.sqrt(300 * 1800)
    ages = int64([-9, 0, 60_000, round(first * 1000), 300_000, round(second * 1000), 1_800_000])
    expected = [0, 0, 0, 0.25, 0.5, 0.75, 1.0]
    assert loss(ages).tolist() == pytest.approx(expected, abs=1e-5)
    assert loss(int64([2**62])).tolist() == [1.0]


def test_losses_fall_into_their_components() -> None:
    """Ten orders, each worth ten points: the sum of the parts is what is missing to 100."""
    index = health_index(
        int64([1_000, 2_000, 299_999, 300_000, 1_800_000, 1_800_001]),
        int64([59_999, 300_000]),
        1,
        1,
        1,
    )
    assert index.n == 10
    assert index.state == "ok"
    assert index.components == pytest.approx(
        {
            "late_delivered_l1": 5.0,
            "late_delivered_l2": 15.0,
            "late_delivered_l3": 10.0,
            "pending_l1": 0.0,
            "pending_l2": 5.0,
            "pending_l3": 0.0,
            "failed": 10.0,
            "refunded": 10.0,
            "cancelled": 10.0,
        },
        abs=1e-4,
    )
    assert index.value == pytest.approx(35.0, abs=1e-4)


def test_outage_lets_the_index_fall_by_itself() -> None:
    """Nothing is delivered, orders only get older: 100, then less, then 0."""
    values = [
        health_index(NONE, int64([age_ms] * 10), 0, 0, 0).value
        for age_ms in (60_000, 120_000, 300_000, 900_000, 1_800_000)
    ]
    assert values[0] == 100.0
    assert values[2] == 50.0
    assert values[-1] == 0.0
    assert values == sorted(values, key=lambda value: -1 if value is None else -value)


def test_young_orders_decide_nothing() -> None:
    """Below 60 s: counted as undecided, no value, never 100."""
    index = health_index(NONE, int64([0, 59_999]), 0, 0, 0)
    assert (index.value, index.state, index.n, index.band) == (None, "undecided", 0, None)
    assert health_index(NONE, int64([0, 60_000]), 0, 0, 0).n == 1


def test_nothing_in_flight_is_idle() -> None:
    """No orders at all: null with a state."""
    index = health_index(NONE, NONE, 0, 0, 0)
    assert (index.value, index.state) == (None, "idle")


def test_few_orders_give_a_value_marked_low_data() -> None:
    """Four are too few to be sure, five are enough."""
    four = health_index(int64([1_000] * 4), NONE, 0, 0, 0)
    assert (four.value, four.state) == (100.0, "low_data")
    assert health_index(int64([1_000] * 5), NONE, 0, 0, 0).state == "ok"


def test_band_is_the_wilson_interval_of_the_mean_loss() -> None:
    """Ten orders, one refunded: Wilson of 1/10 at z = 2.576, by the textbook formula."""
    index = health_index(int64([1_000] * 9), NONE, 0, 1, 0)
    z2 = 2.576**2
    middle = (0.1 + z2 / 20) / (1 + z2 / 10)
    half = 2.576 * math.sqrt(0.1 * 0.9 / 10 + z2 / 400) / (1 + z2 / 10)
    assert index.band == pytest.approx((100 * (1 - middle - half), 100 * (1 - middle + half)))
    assert index.value == 90.0


def test_index_equals_the_formula_on_many_orders() -> None:
    """Fixed point costs less than 1e-6 points."""
    random = np.random.default_rng(1)
    delays = random.lognormal(math.log(60_000), 1.5, 20_000).astype(np.int64)
    expected = 0.0
    for delay in delays.tolist():
        age = delay / 1000
        if age <= 60:
            continue
        first = 0.5 * math.log(age / 60) / math.log(5)
        second = 0.5 + 0.5 * math.log(age / 300) / math.log(6)
        expected += min(1.0, first if age <= 300 else second)
    value = health_index(delays, NONE, 0, 0, 0).value
    assert value == pytest.approx(100 * (1 - expected / delays.size), abs=1e-6)


def test_shards_give_the_bits_of_one() -> None:
    """100,000 orders dealt to nine shards, merged backwards: equal sums, equal index."""
    random = np.random.default_rng(2)
    delays = random.lognormal(math.log(90_000), 1.5, 100_000).astype(np.int64)
    ages = random.integers(0, 4_000_000, 9_999)
    whole = health_sums(delays, ages, 9, 0, 18)
    parts = [health_sums(delays[k::9], ages[k::9], 1, 0, 2) for k in range(9)]
    merged = merge_health_sums(parts[::-1])
    assert merged == whole
    assert health_from_sums(merged) == health_from_sums(whole)
    assert merge_health_sums([]) == HealthSums()


counts = st.integers(0, 50)


@unhurried
@given(st.lists(ages_ms, max_size=30), st.lists(ages_ms, max_size=30), counts, counts, counts)
def test_any_input_gives_an_index_whose_parts_add_up(
    delays: list[int], ages: list[int], failed: int, refunded: int, cancelled: int
) -> None:
    """In 0..100 inside its band, components add up to 100 - value; no weight, no value."""
    index = health_index(int64(delays), int64(ages), failed, refunded, cancelled)
    assert tuple(index.components) == COMPONENTS
    assert index.n == (
        len(delays) + sum(age >= 60_000 for age in ages) + failed + refunded + cancelled
    )
    if index.value is None:
        assert index.n == 0
        assert index.state == ("undecided" if ages else "idle")
        return
    assert index.band is not None
    assert 0.0 <= index.band[0] <= index.value + 1e-9
    assert index.value - 1e-9 <= index.band[1] <= 100.0
    assert 0.0 <= index.value <= 100.0
    assert sum(index.components.values()) == pytest.approx(100 - index.value, abs=1e-9)
    assert index.state == ("ok" if index.n >= 5 else "low_data")


@unhurried
@given(st.lists(ages_ms, min_size=1, max_size=20), st.integers(0, 19), st.integers(0, 10**7))
def test_longer_delay_never_raises_the_index(delays: list[int], which: int, more_ms: int) -> None:
    """Monotone for a fixed population."""
    slower = list(delays)
    slower[which % len(delays)] = min(2**63 - 1, slower[which % len(delays)] + more_ms)
    before = health_index(int64(delays), NONE, 0, 0, 0).value
    after = health_index(int64(slower), NONE, 0, 0, 0).value
    assert before is not None
    assert after is not None
    assert after <= before
