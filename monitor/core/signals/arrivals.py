"""Are orders still coming? What came, against what an hour like this one brings.

Two kinds of evidence, because each is blind where the other sees. Silence finds an outage: nothing
at all since the last order, for longer than chance explains. Windows of 10 min to 24 h find a part
that is missing: fewer than 70 % of what was expected, now as before. Both ask the lower tail of a
count whose rate is over-dispersed and itself only estimated. How rare is rare enough shrinks with
the number of times a shop gives chance an opening, which is its number of orders: one constant
limit cries wolf at 10,000 orders a day and is deaf at 50.

An hour is learned a day after it ended, so an incident is known before its hours could pass for
normal. One owner (control) holds this; what shards count is `arrival_counts.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

from monitor.core.rules.tables import SignalTable
from monitor.core.signals.arrays import BoolArray, FloatArray, IntArray
from monitor.core.signals.arrival_counts import BIN_MS, BINS, ArrivalCounter
from monitor.core.signals.arrival_test import Evidence, Forecast, weigh
from monitor.core.signals.calendar import Offsets, hours_of_week, offset_ms
from monitor.core.signals.season import BINS_PER_HOUR, WINDOWS_MS, Season, SeriesSeason
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS

SHOP = ""
"""Name of the series of all sources together."""

_LEARN_AFTER_MS = DAY_MS
_INCIDENT_HOURS_MAX = 168
"""After a week of incident the new level is the shop's level."""

_WINDOW_BINS = np.array(WINDOWS_MS) // BIN_MS


class ArrivalReading(msgspec.Struct, frozen=True):
    """How the orders of one source (or of the shop, source "") come in.

    `observed` of `expected` orders in the last `window_ms`, the most telling window; `p` is the
    chance of so few, `is_proven` that it is too small for chance. `ratio` is None while learning.
    """

    source: str
    state: Literal["ok", "learning", "no_data"]
    ratio: float | None = None
    window_ms: int = 0
    observed: int = 0
    expected: float = 0.0
    p: float = 1.0
    is_proven: bool = False


class SeriesSnapshot(msgspec.Struct, frozen=True):
    """One series at rest; `incidents` are bins (time ÷ 5 min) in which it was in doubt."""

    source: str
    since_bin: int
    season: SeriesSeason
    incidents: tuple[int, ...] = ()
    incident_hours: int = 0
    is_standing: bool = False


class ArrivalsSnapshot(msgspec.Struct, frozen=True):
    """`Arrivals` at rest; `offsets`: the time zone its week was learned in, None if unknown."""

    learned_ms: int
    unobserved: tuple[int, ...] = ()
    series: tuple[SeriesSnapshot, ...] = ()
    offsets: tuple[tuple[int, int], ...] | None = None


class Arrivals:
    """Learns the shop's week and tells whether orders are missing.

    `started_ms`: since when this monitor watches; `offsets`: `Settings.utc_offsets`.
    """

    def __init__(self, started_ms: int, offsets: Offsets = ()) -> None:
        self._offsets = offsets
        self._season = Season()
        self._names: list[str] = []
        self._since = np.zeros(0, np.int64)
        self._incidents = np.zeros((0, BINS), np.int64)
        self._incident_hours = np.zeros(0, np.int64)
        self._is_standing = np.zeros(0, np.bool_)
        self._unobserved = np.full(BINS, -1, np.int64)
        self._first_bin = -(-started_ms // BIN_MS)
        # The first hour that was watched from its beginning.
        self._learned_ms = -(-started_ms // HOUR_MS) * HOUR_MS
        self._readings: tuple[ArrivalReading, ...] = ()
        self._read_minute = -1
        self._forecast_bin = -1
        self._forecast = Forecast.nothing(0)
        self._observed_share = np.zeros((0, BINS))

    def not_observing(self, from_ms: int, until_ms: int) -> None:
        """Between these instants the monitor did not run: nothing is expected, nothing learned."""
        stop = -(-until_ms // BIN_MS)
        bins = np.arange(max(from_ms // BIN_MS, stop - BINS), stop)
        self._unobserved[bins % BINS] = bins
        self._read_minute = self._forecast_bin = -1

    def learn(self, counter: ArrivalCounter, now_ms: int) -> int:
        """Learn every hour that ended a day ago and was not learned yet; returns how many.

        Call it once an hour; it is harmless more often. Hours lost from the counter are skipped.
        """
        self._meet(counter, now_ms)
        oldest = (now_ms // BIN_MS - BINS + 1) * BIN_MS
        if self._learned_ms < oldest:
            self._season.skip()
            self._learned_ms = -(-oldest // HOUR_MS) * HOUR_MS
        learned = 0
        while self._learned_ms + HOUR_MS + _LEARN_AFTER_MS <= now_ms:
            learned += self._learn_hour(counter, self._learned_ms)
            self._learned_ms += HOUR_MS
        if learned:
            self._forecast_bin = self._read_minute = -1
        return learned

    def evaluate(self, counter: ArrivalCounter, now_ms: int) -> tuple[ArrivalReading, ...]:
        """Read every series: the shop first, then sources by name; anew once a minute.

        Marks the windows in which orders were missing, which are then not learned.
        """
        minute = now_ms // MINUTE_MS
        if minute == self._read_minute:
            return self._readings
        self._meet(counter, now_ms)
        self._refresh(now_ms // BIN_MS)
        self._readings = self._read(counter, now_ms)
        self._read_minute = minute
        return self._readings

    def snapshot(self) -> ArrivalsSnapshot:
        """Everything learned, series by name."""
        series = tuple(
            SeriesSnapshot(
                name,
                int(self._since[row]),
                self._season.snapshot(row),
                tuple(sorted(int(at) for at in self._incidents[row] if at >= 0)),
                int(self._incident_hours[row]),
                bool(self._is_standing[row]),
            )
            for name, row in sorted((name, row) for row, name in enumerate(self._names))
        )
        missed = tuple(sorted(int(at) for at in self._unobserved if at >= 0))
        return ArrivalsSnapshot(self._learned_ms, missed, series, tuple(self._offsets))

    @classmethod
    def restore(cls, snapshot: ArrivalsSnapshot, offsets: Offsets = ()) -> Arrivals:
        """Continue from a snapshot; say `not_observing` for the time since it was taken."""
        arrivals = cls(snapshot.learned_ms, offsets)
        arrivals._first_bin = 0
        arrivals._grow([held.source for held in snapshot.series])
        for row, held in enumerate(snapshot.series):
            arrivals._since[row] = held.since_bin
            arrivals._season.restore(row, held.season)
            arrivals._incident_hours[row] = held.incident_hours
            arrivals._is_standing[row] = held.is_standing
            bins = np.array(held.incidents, np.int64)
            arrivals._incidents[row, bins % BINS] = bins
        missed = np.array(snapshot.unobserved, np.int64)
        arrivals._unobserved[missed % BINS] = missed
        return arrivals

    def _meet(self, counter: ArrivalCounter, now_ms: int) -> None:
        """Give a row to every new source: what came before its first order is not watched."""
        met = frozenset(self._names)
        fresh = [name for name in (SHOP, *counter.names) if name not in met]
        if not counter.names or not fresh:
            return
        before = len(self._names)
        self._grow(fresh)
        until = max(now_ms // BIN_MS, counter.head_bin)
        seen = self._counts(counter, until)[before:] > 0
        first = np.where(seen.any(axis=1), until - BINS + 1 + seen.argmax(axis=1), until)
        self._since[before:] = np.maximum(first, self._first_bin)

    def _grow(self, fresh: Sequence[str]) -> None:
        self._names.extend(fresh)
        more = len(self._names) - len(self._since)
        self._since = np.concatenate((self._since, np.zeros(more, np.int64)))
        self._incident_hours = np.concatenate((self._incident_hours, np.zeros(more, np.int64)))
        self._is_standing = np.concatenate((self._is_standing, np.zeros(more, np.bool_)))
        self._incidents = np.concatenate((self._incidents, np.full((more, BINS), -1, np.int64)))
        self._season.grow(len(self._names))
        self._read_minute = self._forecast_bin = -1

    def _counts(self, counter: ArrivalCounter, until_bin: int) -> IntArray:
        """Counts per series, the shop's being the sum; shape int64[S, 312]."""
        counts = counter.matrix(self._names, until_bin)
        if self._names:
            shop = self._names.index(SHOP)
            counts[shop] = 0
            counts[shop] = counts.sum(axis=0)
        return counts

    def _watched(self, bins: IntArray) -> BoolArray:
        """Which bins were observed for which series; shape bool[S, n]."""
        watched: BoolArray = (self._unobserved[bins % BINS] != bins) & (
            bins >= self._since[:, None]
        )
        return watched

    def _places(self, bins: IntArray) -> tuple[IntArray, FloatArray]:
        """Local hour of the week of each bin, and how much of it has passed at the bin's middle."""
        starts = bins * BIN_MS
        local = starts + offset_ms(int(starts[-1]), self._offsets)
        return (
            hours_of_week(starts, self._offsets),
            (local % HOUR_MS + BIN_MS / 2) / HOUR_MS,
        )

    def _learn_hour(self, counter: ArrivalCounter, hour_ms: int) -> int:
        bins = np.arange(BINS_PER_HOUR) + hour_ms // BIN_MS
        if not self._names:
            return 0
        watched = self._watched(bins)
        if np.any(self._unobserved[bins % BINS] == bins):
            self._season.skip()
            return 0
        doubtful = np.any(self._incidents[:, bins % BINS] == bins, axis=1)
        is_new_level = self._incident_hours >= _INCIDENT_HOURS_MAX
        self._incident_hours = np.where(doubtful, self._incident_hours + 1, 0)
        use = watched.all(axis=1) & (~doubtful | is_new_level)
        observed = self._counts(counter, int(bins[-1]))[:, -BINS_PER_HOUR:]
        self._season.learn(hour_ms, observed, *self._places(bins), use)
        return 1

    def _refresh(self, head: int) -> None:
        """Forecast the last 26 h anew when a five-minute bin begins or something was learned."""
        if head == self._forecast_bin:
            return
        bins = np.arange(head - BINS + 1, head + 1)
        watched = self._watched(bins)
        expected, variance = self._season.expected(*self._places(bins))
        self._observed_share = watched.astype(np.float64)
        self._forecast = Forecast.of(expected * watched, variance, self._season)
        self._forecast_bin = head

    def _read(self, counter: ArrivalCounter, now_ms: int) -> tuple[ArrivalReading, ...]:
        if not self._names:
            return ()
        head = now_ms // BIN_MS
        counts = self._counts(counter, head) * (self._observed_share > 0.0)
        last = [counter.last_ms(name) for name in self._names]
        last[self._names.index(SHOP)] = max(last)
        passed = (now_ms - head * BIN_MS) / BIN_MS
        since = np.clip(np.array(last) / BIN_MS - (head - BINS + 1), 0.0, BINS - 1 + passed)
        evidence = weigh(counts, self._forecast, since, passed, self._is_standing)
        self._is_standing = evidence.is_proven
        self._mark(evidence, head)
        order = sorted(range(len(self._names)), key=self._names.__getitem__)
        return tuple(self._reading(row, evidence) for row in order)

    def _mark(self, evidence: Evidence, head: int) -> None:
        """Remember the windows in which orders were missing."""
        for row in np.flatnonzero(evidence.is_proven):
            n_bins = min(-(-int(evidence.window_ms[row]) // BIN_MS) + 1, BINS)
            bins = np.arange(head - n_bins + 1, head + 1)
            self._incidents[row, bins % BINS] = bins

    def _reading(self, row: int, evidence: Evidence) -> ArrivalReading:
        name = self._names[row]
        if not self._forecast.is_ready[row]:
            return ArrivalReading(name, "learning")
        expected = float(evidence.expected[row])
        if expected <= 0.0:
            return ArrivalReading(name, "no_data")
        observed = int(evidence.observed[row])
        return ArrivalReading(
            name,
            "ok",
            observed / expected,
            int(evidence.window_ms[row]),
            observed,
            expected,
            float(evidence.p[row]),
            bool(evidence.is_proven[row]),
        )


def arrival_table(readings: Sequence[ArrivalReading], label: str | None) -> SignalTable:
    """The signal `arrival_ratio`: per source (label "source") or of the shop (label None)."""
    chosen = [reading for reading in readings if (reading.source == SHOP) == (label is None)]
    if label is None and not chosen:
        chosen = [ArrivalReading(SHOP, "learning")]
    ratios = [float("nan") if reading.ratio is None else reading.ratio for reading in chosen]
    return SignalTable(
        label=label,
        names=tuple(reading.source for reading in chosen),
        values=np.array(ratios, np.float64),
        k=np.array([reading.observed for reading in chosen], np.int64),
        n=np.array([round(reading.expected) for reading in chosen], np.int64),
        p=np.array([reading.p for reading in chosen], np.float64),
        is_proven=np.array([reading.is_proven for reading in chosen], np.bool_),
    )
