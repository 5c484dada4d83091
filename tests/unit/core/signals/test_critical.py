"""The smallest significant count equals that of the binomial distribution."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from monitor.core.signals.critical import ORDERS_MAX, TESTS_MAX, CriticalCounts


@pytest.mark.parametrize(
    ("n", "least"),
    # Smallest k of n late orders that fire a "> 2 %" rule at 0.99: reference/alerting.md §3.
    [(5, 2), (10, 3), (20, 3), (50, 5), (100, 7), (200, 10), (1000, 32)],
)
def test_least_count_is_that_of_the_published_table(n: int, least: int) -> None:
    """One less is chance; it stays so when asked again."""
    counts = CriticalCounts()
    for _ in range(2):
        k = np.array([least - 1, least, least + 1])
        reached = counts.is_reached(k, np.full(3, n), 0.02, 0.99)
        assert reached.tolist() == [False, True, True]


def test_verdict_equals_the_tail_of_scipy() -> None:
    """Random counts at several chances, windows beyond the table too."""
    random, counts = np.random.default_rng(3), CriticalCounts()
    for chance in (0.0, 0.01, 0.02, 0.1, 0.5, 1.0, 1.7):
        for most in (40, ORDERS_MAX + 500):
            n = random.integers(0, most, 200)
            k = (n * random.random(200) * 0.3).astype(np.int64)
            tail = stats.binom.sf(k - 1, n, min(chance, 1.0))
            expected = tail <= 0.01 * (1 + 1e-9)
            assert (counts.is_reached(k, n, chance, 0.99) == expected).all()


def test_every_test_may_have_a_chance_of_its_own() -> None:
    """The same verdicts as one by one."""
    random, counts = np.random.default_rng(5), CriticalCounts()
    n = random.integers(0, 60, 300)
    k = (n * random.random(300) * 0.4).astype(np.int64)
    chance = random.random(300) * 1.2
    chance[:5] = (0.0, 1.0, 1.1, np.inf, np.nan)
    k[4], n[4] = 9, 9
    found = counts.is_reached(k, n, chance, 0.99)
    assert not found[4]  # an unknown chance proves nothing
    for place in range(5, 300):
        one = slice(place, place + 1)
        same = counts.is_reached(k[one], n[one], float(chance[place]), 0.99)
        assert found[one].tolist() == same.tolist()


def test_tie_counts_as_reached() -> None:
    """Two of two at a chance of a tenth are exactly one in a hundred."""
    assert CriticalCounts().is_reached(np.array([2]), np.array([2]), 0.1, 0.99).tolist() == [True]


def test_memory_is_bounded() -> None:
    """More tests than it has room for: it starts anew and answers the same."""
    counts = CriticalCounts()
    for number in range(TESTS_MAX + 5):
        chance = 0.02 + number / 1e6
        assert counts.is_reached(np.array([3]), np.array([10]), chance, 0.99).tolist() == [True]
    assert len(counts._known) <= TESTS_MAX
    assert counts.is_reached(np.zeros(0, np.int64), np.zeros(0, np.int64), 0.1, 0.9).size == 0
