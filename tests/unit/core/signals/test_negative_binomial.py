"""The lower tail of over-dispersed counts, against scipy."""

import numpy as np
import pytest
from scipy import stats

from monitor.core.signals.negative_binomial import lower_tail, lower_tails, silence_tails


@pytest.mark.parametrize("spread", [0.001, 0.01, 0.06, 0.5, 4.0])
@pytest.mark.parametrize("expected", [0.3, 8.0, 90.0, 2_000.0, 30_000.0])
def test_tail_of_any_count_equals_scipy(expected: float, spread: float) -> None:
    """From a single order to 30,000 of them, at, below and above the mean."""
    counts = np.unique(np.floor(expected * np.array([0.0, 0.1, 0.4, 0.7, 1.0, 1.3])))
    size = 1.0 / spread
    wanted = stats.nbinom.cdf(counts, size, size / (size + expected))
    np.testing.assert_allclose(
        lower_tails(counts, expected, spread), wanted, rtol=1e-7, atol=1e-200
    )


def test_spread_of_zero_is_nearly_poisson() -> None:
    """A steady rate gives Poisson's tail to within the spread that stands for zero."""
    assert lower_tail(3, 12.0, 0.0) == pytest.approx(stats.poisson.cdf(3, 12.0), rel=0.01)


def test_over_dispersed_quiet_hour_is_no_rarity() -> None:
    """60 of 100: one in 87,000 for Poisson, one in fifty where the rate varies by 20 %."""
    assert lower_tail(60, 100.0, 0.0) < 2e-5
    assert 0.02 < lower_tail(60, 100.0, 0.04) < 0.04


def test_silence_is_the_tail_of_zero() -> None:
    """The closed form agrees with the sum."""
    expected = np.array([0.5, 5.0, 50.0])
    np.testing.assert_allclose(
        silence_tails(expected, 0.03), lower_tails(0, expected, 0.03), rtol=1e-9
    )


def test_nothing_expected_proves_nothing() -> None:
    """Zero of zero is certain, and fewer than none is impossible."""
    assert lower_tail(0, 0.0, 0.1) == 1.0
    assert lower_tail(-1, 5.0, 0.1) == 0.0
