"""When is the silence of a shop suspicious?"""

import math

import pytest
from scipy.stats import chi2

from monitor.core.orders.sources import (
    MONTH_MS,
    RATE_MEMORY_MS,
    SILENCE_FLOOR_MS,
    Source,
    next_silence_ms,
    silences,
)
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS


def test_configured_heartbeat_is_the_limit_to_the_millisecond() -> None:
    """Exactly at the heartbeat the source is still heard."""
    source = Source("s", 1, 1_000, heartbeat_ms=60_000)
    assert not source.is_quiet_too_long(61_000)
    assert source.is_quiet_too_long(61_001)


def test_learned_limit_is_the_time_in_which_enough_orders_are_expected() -> None:
    """ln(4 x orders per 30 d) orders at the 99 % lower bound of the rate (chi-squared by scipy).

    The silence is a part of the time in which the rate was learned.
    """
    span_ms, orders = 2 * DAY_MS, 480
    limit_ms = Source("s", 1, 1 + span_ms, orders=orders).limit_ms()
    assert limit_ms is not None
    watched_ms = span_ms + limit_ms
    slowest = chi2.ppf(0.01, 2 * orders) / 2 / watched_ms
    expected = math.log(4 * orders / watched_ms * MONTH_MS) / slowest
    assert limit_ms == pytest.approx(expected, rel=2e-3)
    assert 45 * MINUTE_MS < expected < 90 * MINUTE_MS


def test_learned_limit_is_never_below_five_minutes() -> None:
    """A very busy shop may pause for a coffee."""
    assert Source("s", 1, DAY_MS, orders=500_000).limit_ms() == SILENCE_FLOOR_MS


def test_silence_is_told_to_the_millisecond_at_the_instant_that_was_said_before() -> None:
    """Who wakes at that instant finds it silent, and who wakes one before does not."""
    source = Source("s", 1, DAY_MS, orders=300)
    due_ms = next_silence_ms({"s": source})
    assert due_ms is not None
    assert silences({"s": source}, due_ms - 1) == []
    (moved,) = silences({"s": source}, due_ms)
    assert moved.limit_ms == due_ms - 1 - DAY_MS


def test_silence_is_waited_for_from_when_the_monitor_is_there() -> None:
    """After a downtime the next look is planned ahead, not in the past."""
    source = Source("s", 1, DAY_MS, orders=300)
    awake_ms = 2 * DAY_MS
    due_ms = next_silence_ms({"s": source}, awake_ms=awake_ms)
    assert due_ms is not None
    assert due_ms > awake_ms
    assert silences({"s": source}, due_ms - 1, awake_ms) == []
    assert len(silences({"s": source}, due_ms, awake_ms)) == 1


@pytest.mark.parametrize("orders", [0, 1, 2, 5])
def test_young_source_is_not_called_silent(orders: int) -> None:
    """A handful of orders within an hour says little about the rate."""
    source = Source("s", 1, HOUR_MS, orders=orders)
    assert not source.is_quiet_too_long(HOUR_MS + 10 * MINUTE_MS)


def test_rate_follows_the_shop_after_four_weeks() -> None:
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
