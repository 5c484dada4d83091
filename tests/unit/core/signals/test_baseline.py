"""Learning what is normal: hours of the week, fading, incidents, and a new level."""

import msgspec
import numpy as np
import pytest

from monitor.core.signals.baseline import is_due, learn, learnable_until
from monitor.core.signals.drift import Settled
from monitor.core.signals.hazard import UNIT, Hazard
from monitor.core.signals.histogram import bucket_index
from monitor.core.signals.paces import Paces
from monitor.model.baselines import Baseline
from monitor.model.times import DAY_MS, HOUR_MS
from tests.unit.core.signals.strategies import int64
from tests.unit.core.signals.test_hazard import lognormal_delays

MONDAY = 1_767_571_200_000


def learned(
    paces: Paces, hours: int, previous: Baseline | None = None, excluded: tuple[int, ...] = (),
    news: Settled | None = None,
) -> Baseline | None:  # fmt: skip
    """What is learned `hours` complete hours after Monday, the latest of them left out."""
    return learn(
        previous, paces, "a", excluded_hours=excluded, peak=3.0, orders_30d=10_000, offsets=(),
        now_ms=MONDAY + hours * HOUR_MS + 60_000, news=news,
    )  # fmt: skip


def add(paces: Paces, hour: int, delays: list[int]) -> None:
    for delay in delays:
        paces.add("a", MONDAY + hour * HOUR_MS, delay)


def test_twenty_orders_before_the_latest_hour_are_learned() -> None:
    """Nineteen are not; the latest complete hour waits, so that an outage is not learned."""
    paces = Paces()
    add(paces, 0, [8_000] * 19)
    add(paces, 1, [500_000] * 50)
    assert learned(paces, 2) is None
    add(paces, 0, [8_000])
    baseline = learned(paces, 2)
    assert baseline is not None
    assert (baseline.n, baseline.from_ms, baseline.to_ms) == (20, MONDAY, MONDAY + HOUR_MS)
    assert baseline.delivered == ((bucket_index(8_000), 20),)
    assert baseline.limit == pytest.approx(np.log(10_000))
    assert learned(paces, 2, baseline) is None  # nothing new
    grown = learned(paces, 3, baseline)
    assert grown is not None
    assert grown.n == 70


def test_slow_hour_of_the_week_gets_its_own_speed() -> None:
    """Tuesday 20:00 twice as slow: 32 buckets, shrunk by n / (n + 20) to 28.8; the rest stays within 1."""
    paces = Paces()
    for hour in range(48):
        factor = 2 if hour == 44 else 1
        add(paces, hour, [delay * factor for delay in lognormal_delays(180, 8_000, 0.8)])
    baseline = learned(paces, 49)
    assert baseline is not None
    assert baseline.shifts[44] == pytest.approx(28.8, abs=1)
    assert max(abs(shift) for shift in baseline.shifts[:44]) <= 1
    assert baseline.hour_n[44] == 180
    # De-seasonalised: an order of that hour at twice the age owes about what another does.
    hazard = Hazard.of(baseline)
    slow, usual = hazard.at(int64([16_000, 8_000]), int64([baseline.shifts[44], 0])) / UNIT
    assert slow == pytest.approx(usual, rel=0.2)  # shrinkage keeps a tenth of the difference


def test_hours_of_incidents_are_not_learned() -> None:
    """Their orders leave no trace but a count of hours."""
    paces = Paces()
    add(paces, 0, [8_000] * 30)
    add(paces, 1, [900_000] * 30)
    baseline = learned(paces, 3, excluded=(MONDAY + HOUR_MS,))
    assert baseline is not None
    assert (baseline.n, baseline.excluded_hours) == (30, 1)


def test_old_history_fades_with_a_half_life_of_28_days() -> None:
    """1,000 orders, learned again four weeks later with 100 new ones: 500 and 100 are left."""
    paces = Paces()
    add(paces, 0, lognormal_delays(1_000, 8_000, 0.8))
    first = learned(paces, 2)
    add(paces, 28 * 24, [8_000] * 100)
    second = learned(paces, 28 * 24 + 2, first)
    assert second is not None
    assert second.n == pytest.approx(600, abs=1)
    assert second.from_ms == MONDAY
    assert sum(count for _, count in second.delivered) == second.n


def test_learning_does_not_depend_on_the_order_of_hours() -> None:
    """Counted forwards or backwards, by one shard or two: the same record."""
    rng = np.random.default_rng(5)
    orders = [(hour, int(delay)) for hour in range(40) for delay in rng.integers(1_000, 60_000, 9)]
    one, two, other = Paces(), Paces(), Paces()
    for hour, delay in orders:
        add(one, hour, [delay])
    for index, (hour, delay) in enumerate(reversed(orders)):
        add(two if index % 2 else other, hour, [delay])
    two.merge(other)
    assert msgspec.json.encode(learned(one, 41)) == msgspec.json.encode(learned(two, 41))


def test_hour_by_hour_comes_to_what_learning_at_once_does() -> None:
    """Incremental learning over two days keeps the number and the median."""
    paces = Paces()
    for hour in range(48):
        add(paces, hour, lognormal_delays(40, 8_000, 0.8))
    at_once = learned(paces, 49)
    step: Baseline | None = None
    for hour in range(2, 50):
        step = learned(paces, hour, step) or step
    assert at_once is not None
    assert step is not None
    assert step.n == pytest.approx(at_once.n, rel=0.05)
    age = int64([8_000])
    assert Hazard.of(step).at(age) == pytest.approx(Hazard.of(at_once).at(age), rel=0.05)


def test_new_level_makes_older_history_count_like_the_prior() -> None:
    """After delays settled at 40 s the old 1,000 orders at 8 s count as twenty."""
    paces = Paces()
    add(paces, 0, lognormal_delays(1_000, 8_000, 0.8))
    first = learned(paces, 2)
    for hour in range(1, 11):
        add(paces, hour, lognormal_delays(50, 40_000, 0.8))
    news = Settled(MONDAY + HOUR_MS, 5.0)
    again = learned(paces, 12, first, news=news)
    assert again is not None
    assert again.n == 520
    assert again.from_ms == news.since_ms
    assert Hazard.of(again).at(int64([40_000]))[0] / UNIT == pytest.approx(0.69, abs=0.1)


def test_learning_is_due_when_orders_doubled_or_a_day_passed_or_health_reached_higher() -> None:
    """And never twice within the hour, for nothing new can be learned then."""
    paces = Paces()
    now = MONDAY + 2 * HOUR_MS + 5
    assert learnable_until(now) == MONDAY + HOUR_MS
    assert not is_due(None, paces, "a", 0.0, now)
    add(paces, 0, [8_000] * 20)
    assert is_due(None, paces, "a", 0.0, now)
    first = learned(paces, 2)
    assert first is not None
    assert not is_due(first, paces, "a", 99.0, now)
    add(paces, 1, [8_000] * 19)
    assert not is_due(first, paces, "a", 3.0, now + HOUR_MS)
    assert is_due(first, paces, "a", 9.0, now + HOUR_MS)
    add(paces, 1, [8_000])
    assert is_due(first, paces, "a", 3.0, now + HOUR_MS)
    assert is_due(first, Paces(), "a", 3.0, now + DAY_MS + HOUR_MS)


def test_disputed_baseline_is_learned_every_hour() -> None:
    """An alarm stands and no promise breaks: perhaps this is what is normal now."""
    paces = Paces()
    add(paces, 0, [8_000] * 20)
    first = learned(paces, 2)
    later = MONDAY + 3 * HOUR_MS + 5
    assert not is_due(first, paces, "a", 0.0, later)
    assert is_due(first, paces, "a", 0.0, later, is_disputed=True)
