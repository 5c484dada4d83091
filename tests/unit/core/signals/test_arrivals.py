"""Are orders still coming: learning, silence, falls, and what must not be learned."""

import math

import msgspec
import numpy as np
import pytest

from monitor.core.signals.arrival_counts import BIN_MS, ArrivalCounter
from monitor.core.signals.arrivals import (
    SHOP,
    ArrivalReading,
    Arrivals,
    ArrivalsSnapshot,
    arrival_table,
)
from monitor.core.signals.season import BINS_PER_HOUR, Season
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS

T0 = 1_767_571_200_000  # Monday 2026-01-05 00:00 UTC


class Shop:
    """One or more sources with a fixed number of orders in every five minutes."""

    def __init__(self, per_bin: dict[str, int], offsets: tuple[tuple[int, int], ...] = ()) -> None:
        self.per_bin = per_bin
        self.counter = ArrivalCounter()
        self.arrivals = Arrivals(T0, offsets)
        self.now_ms = T0
        self.look_ms = BIN_MS

    def run(self, duration_ms: int, per_bin: dict[str, int] | None = None) -> None:
        """Let time pass with these orders, looking now and then."""
        for _ in range(duration_ms // BIN_MS):
            for source, n in (self.per_bin if per_bin is None else per_bin).items():
                if n:
                    self.counter.add(source, self.now_ms + BIN_MS - 1, n)
            self.now_ms += BIN_MS
            self.counter.advance((self.now_ms - 1) // BIN_MS)
            if self.now_ms % self.look_ms == 0:
                self.arrivals.learn(self.counter, self.now_ms)
                self.arrivals.evaluate(self.counter, self.now_ms)

    def reading(self, source: str = SHOP) -> ArrivalReading:
        readings = self.arrivals.evaluate(self.counter, self.now_ms)
        return next(reading for reading in readings if reading.source == source)


def test_first_days_are_learning_and_never_alarm() -> None:
    """Day one knows nothing: no ratio, no proof, not even of total silence."""
    shop = Shop({"a": 5})
    assert shop.arrivals.evaluate(shop.counter, T0) == ()
    shop.run(DAY_MS)
    shop.run(12 * HOUR_MS, {})
    assert shop.reading() == ArrivalReading(SHOP, "learning")
    table = arrival_table((shop.reading(),), None)
    assert math.isnan(table.values[0])
    assert table.is_proven is not None
    assert not table.is_proven[0]


def test_silence_of_one_source_is_proven_and_named() -> None:
    """60 orders an hour, then nothing: within a quarter of an hour, of that source alone."""
    shop = Shop({"a": 5, "b": 5})
    shop.run(9 * DAY_MS)
    assert not shop.reading("a").is_proven
    assert shop.reading("a").ratio == pytest.approx(1.0, abs=0.05)
    shop.run(30 * MINUTE_MS, {"b": 5})
    silent = shop.reading("a")
    assert silent.is_proven
    assert silent.ratio == 0.0
    assert silent.expected == pytest.approx(30.0, rel=0.1)
    assert not shop.reading("b").is_proven
    table = arrival_table(shop.arrivals.evaluate(shop.counter, shop.now_ms), "source")
    assert table.names == ("a", "b")
    assert table.is_proven is not None
    assert table.is_proven.tolist() == [True, False]


def test_partial_fall_is_proven_by_a_window() -> None:
    """Two of five orders still come: no silence, but far too few; over as soon as they are back."""
    shop = Shop({"a": 5})
    shop.run(9 * DAY_MS)
    shop.run(3 * HOUR_MS, {"a": 2})
    fallen = shop.reading("a")
    assert fallen.is_proven
    assert fallen.observed > 0
    assert fallen.ratio is not None
    assert 0.3 < fallen.ratio < 0.7
    shop.run(30 * MINUTE_MS)
    assert not shop.reading("a").is_proven


def test_incident_is_not_learned_as_normal() -> None:
    """After a day without orders the shop still expects what it expected before."""
    shop = Shop({"a": 5})
    shop.run(6 * DAY_MS)
    before = shop.arrivals.snapshot().series[1].season
    shop.run(DAY_MS, {})
    shop.run(DAY_MS + 2 * HOUR_MS)
    after = shop.arrivals.snapshot().series[1].season
    rate_before = sum(before.counts) / sum(before.hours)
    assert sum(after.counts) / sum(after.hours) == pytest.approx(rate_before, rel=0.01)


def test_level_that_stays_down_for_weeks_becomes_the_level() -> None:
    """A shop that shrank for good does not alarm for ever."""
    shop = Shop({"a": 5})
    shop.look_ms = HOUR_MS
    shop.run(4 * DAY_MS)
    shop.run(35 * DAY_MS, {"a": 1})
    assert not shop.reading("a").is_proven


def test_time_not_watched_expects_nothing() -> None:
    """A monitor that was down for six hours does not take its own absence for silence."""
    shop = Shop({"a": 5})
    shop.run(5 * DAY_MS)
    stopped_ms = shop.now_ms
    before = sum(shop.arrivals.snapshot().series[1].season.counts)
    restored = Arrivals.restore(shop.arrivals.snapshot())
    shop.arrivals = restored
    shop.now_ms += 6 * HOUR_MS
    restored.not_observing(stopped_ms, shop.now_ms)
    assert not shop.reading("a").is_proven
    shop.run(2 * DAY_MS)
    season = shop.arrivals.snapshot().series[1].season
    assert sum(season.counts) > before
    assert sum(season.counts) / sum(season.hours) == pytest.approx(60.0, rel=0.01)


def test_restored_monitor_says_the_same() -> None:
    """A snapshot through JSON changes no reading, now or later."""
    shop = Shop({"a": 5, "b": 1})
    shop.run(4 * DAY_MS + 7 * HOUR_MS)
    shop.run(2 * HOUR_MS, {"b": 1})
    packed = msgspec.json.encode(shop.arrivals.snapshot())
    twin = Arrivals.restore(msgspec.json.decode(packed, type=ArrivalsSnapshot))
    assert twin.snapshot() == shop.arrivals.snapshot()
    for step in range(1, 40):
        now_ms = shop.now_ms + step * 30 * MINUTE_MS
        twin.learn(shop.counter, now_ms)
        shop.arrivals.learn(shop.counter, now_ms)
        assert twin.evaluate(shop.counter, now_ms) == shop.arrivals.evaluate(shop.counter, now_ms)


def test_hour_that_the_clock_shows_twice_is_two_hours() -> None:
    """When clocks go back, 2 a.m. is watched twice and its rate stays what it was."""
    back_ms = T0 + 2 * DAY_MS + 3 * HOUR_MS
    offsets = ((0, HOUR_MS), (back_ms, 0))
    shop = Shop({"a": 5}, offsets)
    shop.run(4 * DAY_MS)
    season = shop.arrivals.snapshot().series[1].season
    doubled = 2 * 24 + 3  # Wednesday, local 03:00, comes at 02:00 and at 03:00 UTC
    assert season.hours[doubled] == pytest.approx(2.0, rel=0.05)
    assert season.counts[doubled] / season.hours[doubled] == pytest.approx(60.0, rel=0.01)
    assert not shop.reading("a").is_proven


def test_scatter_of_steady_arrivals_is_learned_to_be_small() -> None:
    """A steady rate moves the prior of 14 % down, a rate that doubles and halves moves it up."""
    spreads = []
    for swing in (0, 60):
        season = Season()
        season.grow(1)
        cells, shares = np.zeros(BINS_PER_HOUR, np.int64), np.full(BINS_PER_HOUR, 0.5)
        for hour in range(500):
            n = 100 + (swing if hour % 2 else -swing)
            observed = np.full((1, BINS_PER_HOUR), n)
            season.learn(T0 + hour * HOUR_MS, observed, cells, shares, np.ones(1, np.bool_))
        spreads.append(season.spread()[0, 2])
    assert spreads[0] < 0.01
    assert spreads[1] == pytest.approx(0.36, rel=0.1)


def test_shop_is_the_sum_of_its_sources() -> None:
    """The shop's own reading counts every source once."""
    shop = Shop({"a": 2, "b": 3})
    shop.run(5 * DAY_MS)
    parts = [shop.reading(name) for name in ("a", "b")]
    assert shop.reading().ratio == pytest.approx(1.0, abs=0.05)
    assert sum(part.expected / part.window_ms for part in parts) == pytest.approx(
        shop.reading().expected / shop.reading().window_ms, rel=0.05
    )
