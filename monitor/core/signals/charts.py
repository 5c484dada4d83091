"""The CUSUM charts of a shop: one per channel and one over all, with what each has to remember.

A chart knows its excursion (since C last left 0), its alarm, the highest C of each healthy day and
the hours of incidents. An excursion in which promises broke was an incident: its hours are not
learned from, its peak says nothing about health. One in which none broke was noise, and its peak
raises the limit at the next learning.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from monitor.core.signals.arrays import IntArray
from monitor.core.signals.calendar import Offsets
from monitor.core.signals.cusum import GUARD_RATIO, is_learned, limit_of, moved
from monitor.core.signals.hazard import UNIT, Hazard, Hazards
from monitor.core.signals.heard import Heard
from monitor.core.signals.ledger import Ledger, LedgerState, increments, waits_of
from monitor.core.signals.observation import Observation
from monitor.model.baselines import Baseline
from monitor.model.ids import ALL_ORDERS
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

STEP_MS = 5 * SECOND_MS
HALF_LIFE_MS = 180 * SECOND_MS
SPEED_FROM = 3.0
"""Deliveries that must have been expected lately before a speed is named."""
PEAK_DAYS = 28
HOURS_KEPT_MS = 7 * DAY_MS
BLOCK_MS = 10 * MINUTE_MS
BLOCKS_MIN = 24
BLOCKS_EXPECTED_MIN = 20.0
CAUTION_MAX = 2.0
BROKEN_MIN = 2
BROKEN_SHARE = 0.05


class ChartReading(msgspec.Struct, frozen=True):
    """What one chart says now: "38 deliveries expected, 9 seen".

    `ratio` is C / limit, the signal `cusum_ratio`; it does not exceed 1 while the effect guard
    holds it. `is_broken`: promises broke in this excursion, so it is an incident and not a new
    normal. `expected` and `observed` count since C last left 0 (`since_ms`), the totals since the
    beginning. `speed_ratio` is what was seen lately (half-life 180 s) of what was expected.
    """

    channel: str
    cusum: float
    limit: float
    ratio: float
    is_alarm: bool
    is_broken: bool
    speed_ratio: float | None
    expected: float
    observed: int
    since_ms: int
    expected_total: float
    observed_total: int


class Chart(msgspec.Struct):
    """The memory of one chart; whole numbers in 1e-6 unless named otherwise."""

    channel: str
    cusum: int = 0
    gap: int = 0
    value: int = 0  # of both, what is compared with the limit
    expected: int = 0
    observed: int = 0
    expected_total: int = 0
    observed_total: int = 0
    expected_told: int = 0  # the totals never fall, though news may take back a little
    observed_told: int = 0
    since_ms: int = 0
    peak: int = 0  # of this excursion
    is_alarm: bool = False
    had_alarm: bool = False  # in this excursion
    is_broken: bool = False  # promises broke in it
    alarm_limit: int = 0  # the limit of a running alarm: learning moves it only afterwards
    lately_expected: float = 0.0
    lately_observed: float = 0.0
    block_ms: int = 0
    block_expected: int = 0
    block_observed: int = 0
    blocks: int = 0
    blocks_expected: float = 0.0
    blocks_square: float = 0.0
    peaks: list[tuple[int, int]] = []  # (day, highest C in health), ascending
    incident_hours: list[int] = []

    def caution(self) -> float:
        """How much wider O - E spreads than chance, 1 … 2; 1 until enough was seen."""
        if self.blocks < BLOCKS_MIN or self.blocks_expected < BLOCKS_EXPECTED_MIN:
            return 1.0
        return min(max(self.blocks_square / self.blocks_expected, 1.0), CAUTION_MAX)


class ChartsState(msgspec.Struct, frozen=True):
    """All charts sorted by channel, and the ledger, for a snapshot."""

    charts: tuple[Chart, ...]
    ledger: LedgerState | None


class Charts:
    """One chart per channel that has orders, and the one of all orders (`ALL_ORDERS`)."""

    def __init__(self, state: ChartsState | None = None, offsets: Offsets = ()) -> None:
        self.offsets = offsets
        self._charts: dict[str, Chart] = {}
        self._ledger = Ledger()
        self._limits: dict[str, int] = {}
        self._hazards: tuple[tuple[Baseline | None, ...], Hazards] | None = None
        if state is not None:
            self.restore(state)

    @property
    def at_ms(self) -> int | None:
        """The last instant the charts were brought to."""
        return self._ledger.at_ms

    def snapshot(self) -> ChartsState:
        """Everything `restore` needs, in a fixed order; a copy."""
        charts = [msgspec.structs.replace(self._charts[name]) for name in sorted(self._charts)]
        for chart in charts:
            chart.peaks = list(chart.peaks)
            chart.incident_hours = list(chart.incident_hours)
        return ChartsState(tuple(charts), self._ledger.snapshot())

    def restore(self, state: ChartsState) -> None:
        """Take over a snapshot; call `rebuild` for the time since then."""
        copied = msgspec.convert(msgspec.to_builtins(state), ChartsState)
        self._charts = {chart.channel: chart for chart in copied.charts}
        self._ledger = Ledger(copied.ledger)

    def advance(
        self,
        rows: Observation,
        baselines: Mapping[str, Baseline],
        now_ms: int,
        heard: Heard | None = None,
    ) -> None:
        """Bring all charts to now; nothing happens when they are there already.

        What a source that is unusually silent would have told of is not owed until it speaks again
        (`heard`; None: all may be believed).
        """
        last_ms = self._ledger.at_ms
        if last_ms is not None and now_ms <= last_ms:
            return
        known = self._hazards
        hazards = self._stack(rows.names.channel, baselines)
        if known is not None and known is not self._hazards:
            self._ledger.rebase(rows, hazards, self.offsets, heard)
        expected, observed = self._ledger.step(rows, hazards, self.offsets, now_ms, heard)
        self._set_limits(rows.names.channel, baselines)
        passed_ms = 0 if last_ms is None else now_ms - last_ms
        self._walk(rows, baselines, expected, observed, now_ms, passed_ms)

    def rebuild(
        self,
        rows: Observation,
        baselines: Mapping[str, Baseline],
        from_ms: int,
        to_ms: int,
        *,
        resume_ms: int | None = None,
        heard: Heard | None = None,
    ) -> None:
        """Walk through a past span in steps of 5 s with what is known of it now.

        After a restart: the log has no ticks. C goes on from where it stands, so restore the
        snapshot first and pass its instant as `from_ms`; without one, an hour ago will do. Charts go
        on at `resume_ms` (default `to_ms`); what lies between was not watched and is skipped, as far as
        sources are believed then (`heard`).
        """
        names = rows.names.channel
        hazards = self._stack(names, baselines)
        self._set_limits(names, baselines)
        to_ms = max(from_ms, to_ms)
        edges = np.unique(np.append(np.arange(from_ms, to_ms, STEP_MS), to_ms))
        relevant = (rows.paid_ms < to_ms) & ((rows.kind == 0) | (rows.end_ms > from_ms))
        expected, observed = increments(waits_of(rows, relevant), edges, hazards, self.offsets)
        for step in range(len(edges) - 1):  # none if nothing was missed
            now_ms, passed_ms = int(edges[step + 1]), int(edges[step + 1] - edges[step])
            self._walk(rows, baselines, expected[:, step], observed[:, step], now_ms, passed_ms)
        self._ledger = Ledger()
        at_ms = to_ms if resume_ms is None else resume_ms
        self._ledger.step(rows, hazards, self.offsets, at_ms, heard)

    def readings(self) -> dict[str, ChartReading]:
        """What every chart says, by channel, sorted."""
        return {name: self._reading(self._charts[name]) for name in sorted(self._charts)}

    def reading(self, channel: str) -> ChartReading | None:
        """What one chart says; None where there is none."""
        chart = self._charts.get(channel)
        return None if chart is None else self._reading(chart)

    def peak(self, channel: str, now_ms: int) -> float:
        """The highest C of the last 28 days outside incidents, for the limit to be learned."""
        chart = self._charts.get(channel)
        if chart is None:
            return 0.0
        oldest = now_ms // DAY_MS - PEAK_DAYS
        return max((peak for day, peak in chart.peaks if day > oldest), default=0) / UNIT

    def excluded_hours(self, channel: str, now_ms: int) -> tuple[int, ...]:
        """Starts of the hours of incidents, a running one included, ascending: not learned from."""
        chart = self._charts.get(channel)
        if chart is None:
            return ()
        hours = dict.fromkeys(chart.incident_hours)
        if chart.is_alarm and chart.is_broken:
            hours.update(dict.fromkeys(_hours(chart.since_ms, now_ms)))
        return tuple(sorted(hours))

    # --- one step --------------------------------------------------------------------------------

    def _stack(self, names: tuple[str, ...], baselines: Mapping[str, Baseline]) -> Hazards:
        known = tuple(baselines.get(name) for name in names)
        if self._hazards is None or self._hazards[0] != known:
            self._hazards = (known, Hazards.of([Hazard.of(baseline) for baseline in known]))
        return self._hazards[1]

    def _set_limits(self, names: tuple[str, ...], baselines: Mapping[str, Baseline]) -> None:
        for name in (ALL_ORDERS, *names):
            baseline = baselines.get(name)
            limit = baseline.limit if baseline is not None else 0.0
            # One volume for every chart: a channel that has learned nothing uses the shop's.
            shop = baselines.get(ALL_ORDERS)
            limit = max(limit, limit_of(shop.orders_30d if shop else 0, 0.0))
            chart = self._charts.get(name)
            if chart is not None and not is_learned(baseline):
                limit *= chart.caution()
            self._limits[name] = round(limit * UNIT)

    def _walk(
        self,
        rows: Observation,
        baselines: Mapping[str, Baseline],
        expected: IntArray,
        observed: IntArray,
        now_ms: int,
        passed_ms: int,
    ) -> None:
        """Move every chart by one step. Shapes: int64[channels] by code of the rows."""
        owed, seen = expected.tolist(), observed.tolist()
        owed, seen = [sum(owed), *owed], [sum(seen), *seen]
        decay = 0.5 ** (passed_ms / HALF_LIFE_MS)
        for code, name in enumerate((ALL_ORDERS, *rows.names.channel)):
            chart = self._charts.get(name)
            if chart is None and (owed[code] or seen[code]):
                chart = self._charts[name] = Chart(name)
            if chart is None:  # a channel without orders needs no chart
                continue
            limit = self._limit(chart)
            _count(chart, owed[code], seen[code], now_ms, decay)
            if baselines.get(name) is None:
                chart.block_ms = 0  # any shop scatters against what nobody knows yet
            value, chart.cusum, chart.gap = moved(
                chart.cusum, chart.gap, owed[code], seen[code], limit
            )
            is_over = _move(chart, value, owed[code], seen[code], limit, now_ms)
            if chart.is_alarm or value > limit:
                chart.is_broken = _is_broken(rows, code - 1, chart)
                _alarm(chart, limit, baselines.get(name))
            if is_over:
                # Smaller excursions cannot raise the limit, so nobody asks what happened in them.
                is_high = chart.had_alarm or chart.peak * 5 > limit * 4
                _close(chart, now_ms, is_broken=is_high and _is_broken(rows, code - 1, chart))

    def _limit(self, chart: Chart) -> int:
        if chart.is_alarm:
            return chart.alarm_limit
        return self._limits.get(chart.channel) or round(limit_of(0, 0.0) * UNIT)

    def hold(self, channel: str, ratio: float, since_ms: int) -> None:
        """An alarm stood when the monitor stopped: its chart stands at least where the log has it."""
        chart = self._charts.setdefault(channel, Chart(channel))
        limit = self._limit(chart)
        cusum = min(round(ratio * limit), limit * 3 // 2)
        if chart.value < cusum:
            chart.value = chart.cusum = cusum
            chart.since_ms = chart.since_ms or since_ms
            chart.peak = max(chart.peak, cusum)
        chart.is_alarm = chart.had_alarm = True
        chart.alarm_limit = limit

    def _reading(self, chart: Chart) -> ChartReading:
        limit = self._limit(chart)
        ratio = chart.value / limit
        is_named = chart.lately_expected >= SPEED_FROM
        return ChartReading(
            channel=chart.channel,
            cusum=chart.value / UNIT,
            limit=limit / UNIT,
            ratio=ratio if chart.is_alarm else min(ratio, 1.0),
            is_alarm=chart.is_alarm,
            is_broken=chart.is_broken,
            speed_ratio=chart.lately_observed / chart.lately_expected if is_named else None,
            expected=chart.expected / UNIT,
            observed=chart.observed,
            since_ms=chart.since_ms,
            expected_total=chart.expected_told / UNIT,
            observed_total=chart.observed_told,
        )


def _count(chart: Chart, owed: int, seen: int, now_ms: int, decay: float) -> None:
    """Totals, the speed of late, and the spread of O - E over blocks of ten minutes."""
    chart.expected_total += owed
    chart.observed_total += seen
    chart.expected_told = max(chart.expected_told, chart.expected_total)
    chart.observed_told = max(chart.observed_told, chart.observed_total)
    chart.lately_expected = max(chart.lately_expected * decay + owed / UNIT, 0.0)
    chart.lately_observed = max(chart.lately_observed * decay + seen, 0.0)
    block_ms = now_ms - now_ms % BLOCK_MS
    if block_ms != chart.block_ms:
        if chart.block_ms and not chart.had_alarm:
            surplus = chart.block_observed - chart.block_expected / UNIT
            chart.blocks += 1
            chart.blocks_expected += chart.block_expected / UNIT
            chart.blocks_square += surplus * surplus
        chart.block_ms, chart.block_expected, chart.block_observed = block_ms, 0, 0
    chart.block_expected += owed
    chart.block_observed += seen


def _move(chart: Chart, value: int, owed: int, seen: int, limit: int, now_ms: int) -> bool:
    """Go on with an excursion, or begin one; whether it ended."""
    if chart.value <= 0:
        if value <= 0:
            return False
        chart.since_ms, chart.expected, chart.observed = now_ms, 0, 0
    chart.value = max(value, 0)
    chart.expected += owed
    chart.observed += seen
    chart.peak = max(chart.peak, value)
    chart.is_alarm = chart.is_alarm and value * 2 >= limit
    return value <= 0


def _alarm(chart: Chart, limit: int, baseline: Baseline | None) -> None:
    """Raise the alarm if the chart is over its limit and enough is known to say so.

    Before the first learning nobody knows what is normal: then promises must have broken. Before a
    week is learned, far fewer deliveries than owed must have been seen.
    """
    if chart.value <= limit or chart.is_alarm:
        return
    if baseline is None:
        is_sure = chart.is_broken and not _is_mild(chart)
    else:
        is_sure = is_learned(baseline) or not _is_mild(chart)
    chart.is_alarm = is_sure
    chart.had_alarm |= is_sure
    chart.alarm_limit = limit


def _is_mild(chart: Chart) -> bool:
    return chart.observed >= GUARD_RATIO * max(chart.expected, 0) / UNIT


def _is_broken(rows: Observation, code: int, chart: Chart) -> bool:
    """Whether promises broke in an excursion, two at least and not just the usual few."""
    broken = rows.breach_ms > chart.since_ms
    if code >= 0:
        broken &= rows.channel == code
    count = int(np.count_nonzero(broken))
    return count >= BROKEN_MIN and count >= BROKEN_SHARE * (count + max(chart.observed, 0))


def _close(chart: Chart, now_ms: int, *, is_broken: bool) -> None:
    """End an excursion: remember its hours if it was an incident, its peak if it was not."""
    if is_broken and chart.had_alarm:
        hours = dict.fromkeys((*chart.incident_hours, *_hours(chart.since_ms, now_ms)))
        oldest = now_ms - HOURS_KEPT_MS
        chart.incident_hours = sorted(hour for hour in hours if hour > oldest)
    elif not is_broken:
        day = now_ms // DAY_MS
        if chart.peaks and chart.peaks[-1][0] >= day:
            day, known = chart.peaks[-1]
            chart.peaks[-1] = (day, max(known, chart.peak))
        else:
            chart.peaks = [*chart.peaks, (day, chart.peak)][-PEAK_DAYS:]
    chart.peak = 0
    chart.is_alarm = chart.had_alarm = chart.is_broken = False


def _hours(from_ms: int, to_ms: int) -> range:
    return range(from_ms - from_ms % HOUR_MS, to_ms + 1, HOUR_MS)
