"""When is the silence of a shop suspicious?"""

import math

import pytest
from scipy.stats import chi2

from monitor.core.orders.sources import RATE_MEMORY_MS, SILENCE_FLOOR_MS, Source
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS


def test_configured_heartbeat_is_the_limit_to_the_millisecond() -> None:
    """Exactly at the heartbeat the source is still heard."""
    source = Source("s", 1, 1_000, heartbeat_ms=60_000)
    assert not source.is_quiet_too_long(61_000)
    assert source.is_quiet_too_long(61_001)


def test_learned_limit_is_the_time_in_which_enough_orders_are_expected() -> None:
    """ln(4 x orders per 30 d) orders at the 99 % lower bound of the rate (chi-squared by scipy)."""
    span_ms, orders = 2 * DAY_MS, 480
    source = Source("s", 0, span_ms, orders=orders)
    slowest = chi2.ppf(0.01, 2 * orders) / 2 / span_ms
    expected = math.log(4 * orders / span_ms * RATE_MEMORY_MS) / slowest
    assert source.limit_ms(span_ms) == pytest.approx(expected, rel=2e-3)
    assert 45 * MINUTE_MS < expected < 90 * MINUTE_MS


def test_learned_limit_is_never_below_five_minutes() -> None:
    """A very busy shop may pause for a coffee."""
    assert Source("s", 0, DAY_MS, orders=500_000).limit_ms(DAY_MS) == SILENCE_FLOOR_MS


@pytest.mark.parametrize("orders", [0, 1, 2, 5])
def test_young_source_is_not_called_silent(orders: int) -> None:
    """A handful of orders within an hour says little about the rate."""
    source = Source("s", 1, HOUR_MS, orders=orders)
    assert not source.is_quiet_too_long(HOUR_MS + 10 * MINUTE_MS)


def test_rate_follows_the_shop_after_a_month() -> None:
    """Old counts weigh half, so a shop that shrank is not silent for ever."""
    source = Source("s", 1, 1, orders=1_000)
    source.count_order(RATE_MEMORY_MS + 2)
    assert source.orders == 501
    assert source.first_ms == RATE_MEMORY_MS // 2 + 2


def test_hearing_an_old_event_does_not_turn_time_back() -> None:
    """Arrival times may come out of order."""
    source = Source("s", 1, 100)
    source.hear(50)
    assert source.last_ms == 100
