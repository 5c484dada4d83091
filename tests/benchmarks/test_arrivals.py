"""The simulations of `make bench` about arrivals and callbacks, smaller: same functions, seeded."""

from collections.abc import Sequence

import numpy as np
import pytest

from benchmarks.arrival_curve import SHOP_WEEK, Crowd, days_of_arrivals, derive_week, minute_rates
from benchmarks.arrival_sim import (
    Make,
    copy_of,
    fall_delays,
    false_alarms,
    ideal_delays,
    onsets_in,
    train,
)
from benchmarks.callback_sim import Checkout, drought, watch
from monitor.core.signals.arrays import FloatArray
from monitor.core.signals.arrivals import Arrivals
from monitor.core.signals.season import Season
from tests.shared_data import SHARED

SHOPS = 20


class PoissonSeason(Season):
    """The bug everybody makes first: arrivals that vary by chance only."""

    def spread(self) -> FloatArray:
        return np.zeros_like(super().spread())


class PoissonArrivals(Arrivals):
    def __init__(self, started_ms: int, offsets: Sequence[tuple[int, int]] = ()) -> None:
        super().__init__(started_ms, offsets)
        self._season = PoissonSeason()


def alarms_of(make: Make, orders_per_day: float, days: int) -> int:
    trained = train(Crowd(SHOPS, orders_per_day), 5, days=28, make=make)
    return int(false_alarms(trained, days, 6, 5).sum())


@pytest.mark.parametrize("orders_per_day", [50.0, 1_000.0])
def test_healthy_shops_are_left_alone(orders_per_day: float) -> None:
    """Twenty shops, ten days: 1.7 alarms would be the budget, five would be beyond chance."""
    assert alarms_of(Arrivals, orders_per_day, 10) < 5


def test_poisson_cries_wolf_where_learned_scatter_is_quiet() -> None:
    """At 10,000 orders a day a Poisson test alarms every shop in a week, the learned one none."""
    assert alarms_of(PoissonArrivals, 10_000.0, 5) > SHOPS
    assert alarms_of(Arrivals, 10_000.0, 5) <= 2


def test_outage_is_seen_as_soon_as_its_orders_are_missed() -> None:
    """1,000 orders a day: within the hour in nine of ten, and hardly later than anyone could."""
    crowd = Crowd(SHOPS, 1_000.0)
    onsets = onsets_in(crowd, 2, 7, at_orders=True)
    delays = fall_delays(train(crowd, 7), np.zeros(SHOPS), onsets, 8, 5)
    assert np.quantile(delays, 0.9, method="higher") <= 60.0
    assert np.median(delays) <= 2.0 * np.median(ideal_delays(crowd, onsets, 9)) + 5.0


def test_fall_to_two_fifths_is_seen_within_a_day() -> None:
    """200 orders a day, 60 % of them gone: every shop is told, none by silence alone."""
    crowd = Crowd(SHOPS, 200.0)
    trained = train(crowd, 10)
    onsets = onsets_in(crowd, 2, 10, at_orders=False)
    delays = fall_delays(copy_of(trained), np.full(SHOPS, 0.4), onsets, 11, 5)
    assert np.isfinite(delays).all()


def test_stopped_callbacks_are_named_within_minutes() -> None:
    """Three providers, 40 % abandoned: no false word in half a day, then the right name, six times."""
    checkout = Checkout()
    watched, alarms = watch(checkout, 24, 12, judged_from=12)
    assert sum(alarms.values()) == 0
    for turn in range(6):
        dead = checkout.providers[turn % 3]
        delay, named = drought(watched, checkout, dead, 20 + turn)
        assert named == (dead,)
        assert delay <= 12.0


def test_curve_is_a_week_of_average_one() -> None:
    """168 shares around 1, nights deep, and minutes that run straight between hours."""
    assert len(SHOP_WEEK) == 168
    assert np.mean(SHOP_WEEK) == pytest.approx(1.0, abs=0.001)
    rates = minute_rates(SHOP_WEEK)
    assert rates.shape == (10_080,)
    assert rates[4 * 60 + 30] < 0.1
    assert rates[12 * 60] > 1.5


def test_simulated_arrivals_scatter_as_they_say() -> None:
    """Totals of a day vary by the day's factor: variance = mean + (CV · mean)²."""
    crowd = Crowd(2_000, 400.0, day_variation=0.2, block_variation=0.0)
    (day,) = days_of_arrivals(crowd, 1, 13)
    totals = day.sum(axis=0)
    mean = 400.0 * minute_rates(SHOP_WEEK)[:1440].mean()
    assert totals.mean() == pytest.approx(mean, rel=0.03)
    assert totals.var() == pytest.approx(mean + (0.2 * mean) ** 2, rel=0.15)


@pytest.mark.needs_shared_data
def test_curve_is_what_its_source_gives() -> None:
    """The committed numbers are the ones the script derives, where its source is at hand."""
    assert derive_week(SHARED / "data" / "olist_orders_subset.csv") == SHOP_WEEK
