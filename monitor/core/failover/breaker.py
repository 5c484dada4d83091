"""Is a channel slow right now? The evidence that a switch needs.

An order's slow/fast verdict is known at the first of its delivery (fast, or slow if it took longer
than the threshold) and the moment its age passes the threshold (slow): no need to wait for the end,
and a total outage is seen as soon as four orders in a row have waited too long. The threshold is
max(30 s, 3 x learned p95), 60 s until learned: earlier than most promises, so that switching
precedes the breach (design D11, `reference/resilience.md` §6.2).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from monitor.core.signals.charts import ChartReading
from monitor.core.signals.heard import Heard
from monitor.core.signals.observation import Bools, Codes, Ints, Kind, Observation
from monitor.model.settings import Settings

STREAK = 4
SHARE_OF = 20  # the slow share that compares channels looks at so many latest orders
TAIL = 512  # so many of the latest judged orders are looked at first; nearly always they are enough

_OPEN, _DELIVERED = Kind.OPEN.value, Kind.DELIVERED.value


class Lane(msgspec.Struct, frozen=True):
    """A channel that is asked about: its code in the rows, -1 if they do not know it.

    From `threshold_ms` on an order is slow. `chart`: one in alarm trips its channel too, once it
    has learned enough to be given here.
    """

    channel: str
    code: int
    threshold_ms: int
    chart: ChartReading | None = None


class ChannelSpeed(msgspec.Struct, frozen=True):
    """Slow/fast verdicts of one channel, latest last known first.

    `is_tripped`: the four latest verdicts are all slow, or far fewer deliveries were seen than the
    learned chart expects (`cusum_ratio` over 1). `slow` of `n` among the latest twenty.
    `rests_on_silence`: without slow orders whose sources say nothing it had not tripped.
    """

    channel: str
    threshold_ms: int
    is_tripped: bool
    slow: int
    n: int
    oldest_age_ms: int
    open_orders: int
    rests_on_silence: bool = False
    cusum_ratio: float | None = None

    @property
    def slow_share(self) -> float | None:
        """Share of slow orders; None when nothing is known."""
        return self.slow / self.n if self.n else None


def slow_threshold_ms(settings: Settings, p95_ms: int | None) -> int:
    """From which wait on an order counts as slow on a channel."""
    if p95_ms is None:
        return settings.slow_unlearned_ms
    return max(settings.slow_floor_ms, 3 * p95_ms)


def channel_speeds(
    rows: Observation, lanes: Sequence[Lane], now_ms: int, heard: Heard | None = None
) -> dict[str, ChannelSpeed]:
    """Read the latest slow/fast verdicts of channels; held and unconfirmed orders say nothing.

    An order that became slow after its source spoke last may have been delivered for all we know;
    its channel is tripped, but that rests on silence (`heard.believed_ms`). None: all is believed.
    """
    read = _Read(rows, lanes, now_ms)
    latest = read.latest_slow()
    proven: dict[int, list[bool]] | None = None
    speeds = {}
    for lane in lanes:
        known = latest.get(lane.code, [])
        is_streak = _is_tripped(known)
        is_alarm = lane.chart is not None and lane.chart.is_alarm
        is_proven = is_streak or is_alarm
        if is_proven and heard is not None:
            if proven is None:
                proven = read.latest_slow(heard.believed_ms)
            is_proven = _is_tripped(proven.get(lane.code, []))
            # A chart believes what it is told: those who would tell of deliveries must be there.
            is_proven |= is_alarm and read.is_told(lane.code, heard.speaks)
        speeds[lane.channel] = ChannelSpeed(
            channel=lane.channel,
            threshold_ms=lane.threshold_ms,
            is_tripped=is_streak or is_alarm,
            slow=sum(known),
            n=len(known),
            oldest_age_ms=read.oldest_ms(lane.code),
            open_orders=read.open_orders(lane.code),
            rests_on_silence=(is_streak or is_alarm) and not is_proven,
            cusum_ratio=None if lane.chart is None else lane.chart.ratio,
        )
    return speeds


class _Read:
    """The rows of an instant, read for some of their channels."""

    def __init__(self, rows: Observation, lanes: Sequence[Lane], now_ms: int) -> None:
        self._rows, self._now_ms = rows, now_ms
        self._codes = [lane.code for lane in lanes if lane.code >= 0]
        n_codes = max(len(rows.names.channel), max(self._codes, default=-1) + 1)
        self._threshold = np.zeros(n_codes, np.int64)
        self._is_asked = np.zeros(n_codes, np.bool_)
        for lane in lanes:
            if lane.code >= 0:
                self._threshold[lane.code] = lane.threshold_ms
                self._is_asked[lane.code] = True
        channel = rows.channel[rows.open_at]
        self._open = np.bincount(channel, minlength=n_codes).tolist()
        oldest = np.full(n_codes, now_ms)
        np.minimum.at(oldest, channel, rows.paid_ms[rows.open_at])
        self._oldest = oldest.tolist()
        self._told: list[bool] | None = None

    def open_orders(self, code: int) -> int:
        """How many orders wait on a channel."""
        return int(self._open[code]) if code >= 0 else 0

    def oldest_ms(self, code: int) -> int:
        """How long the first of them has waited."""
        return self._now_ms - int(self._oldest[code]) if code >= 0 else 0

    def is_told(self, code: int, speaks: Bools) -> bool:
        """Whether most of the orders that wait on a channel are of sources that speak now."""
        if self._told is None:
            rows, open_at = self._rows, self._rows.open_at
            told_of = open_at[speaks[rows.source[open_at]]]
            counts = np.bincount(rows.channel[told_of], minlength=len(self._open))
            self._told = (counts * 2 > np.array(self._open)).tolist()
        return code >= 0 and self._told[code]

    def latest_slow(self, horizon_ms: Ints | None = None) -> dict[int, list[bool]]:
        """Was it slow? The latest twenty orders of each channel of which that is known, latest last.

        A verdict is known at most the threshold after the order was judged, so the latest are found
        among the latest judged and those not judged. Only an order whose time of payment was
        corrected since can have been paid after it was judged; it is looked at too.
        """
        rows = self._rows
        if not self._codes:
            return {}
        judged, late_ms = rows.judged_ms, int(self._threshold.max())
        loose = (rows.paid_ms > judged).nonzero()[0]
        slow_ms = self._now_ms - int(self._threshold[self._is_asked].min())
        loose = loose[(rows.paid_ms[loose] < slow_ms) | (judged[loose] > 0)]
        first, end, tail = int(judged.searchsorted(1)), judged.size, TAIL
        while True:
            start = max(first, end - tail)
            settled = np.arange(start, end)
            settled = settled[rows.paid_ms[settled] <= judged[settled]]
            known = self._known(np.concatenate((loose, settled)), horizon_ms)
            if start == first or known.has_enough(self._codes, int(judged[start]) + late_ms):
                return known.latest()
            tail *= 8

    def _known(self, index: npt.NDArray[np.intp], horizon_ms: Ints | None) -> _Known:
        """What is known of the speed of these rows."""
        rows, now_ms = self._rows, self._now_ms
        channel, paid, end = rows.channel[index], rows.paid_ms[index], rows.end_ms[index]
        kind, threshold = rows.kind[index], self._threshold[channel]
        is_open = kind == _OPEN
        slow_ms = paid + threshold
        is_slow = np.where(is_open, now_ms, end) > slow_ms
        # Refunds and cancels say nothing about speed, unless the order had waited too long already.
        chosen = (is_slow | (kind == _DELIVERED)) & (paid <= now_ms) & self._is_asked[channel]
        chosen &= ~(rows.is_held[index] | rows.is_unconfirmed[index])
        if horizon_ms is not None:
            # Slow orders that prove nothing: of a silent source, or slow since it was last believed.
            # Fast ones still speak for a channel: a source that falls silent must never trip one.
            horizon = horizon_ms[rows.source[index]]
            chosen &= ~(is_slow & ((horizon == 0) | (is_open & (slow_ms > horizon))))
        known_ms = np.where(is_slow, slow_ms, end)
        return _Known(channel[chosen], known_ms[chosen], rows.key[index[chosen]], is_slow[chosen])


class _Known(msgspec.Struct, frozen=True, eq=False):
    """Verdicts and when they were known, in no order. Shapes: all [n]."""

    channel: Codes
    known_ms: Ints
    key: Ints
    is_slow: Bools

    def has_enough(self, codes: Sequence[int], after_ms: int) -> bool:
        """Whether each channel has its latest twenty among those known after a time."""
        counts = np.bincount(self.channel[self.known_ms > after_ms], minlength=max(codes) + 1)
        return int(counts[codes].min()) >= SHARE_OF

    def latest(self) -> dict[int, list[bool]]:
        """The latest of each channel, latest last."""
        index = self._recent()
        channel = self.channel[index]
        order = np.lexsort((self.key[index], self.known_ms[index], channel))
        is_slow = self.is_slow[index[order]].tolist()
        counts = np.bincount(channel)
        ends = zip(np.cumsum(counts).tolist(), counts.tolist(), strict=True)
        return {
            code: is_slow[end - min(count, SHARE_OF) : end]
            for code, (end, count) in enumerate(ends)
            if count
        }

    def _recent(self) -> npt.NDArray[np.intp]:
        """Rows with the latest twenty of each channel; in an outage thousands are slow."""
        wanted = np.minimum(np.bincount(self.channel), SHARE_OF)
        kept = TAIL
        while kept < self.known_ms.size:
            place = self.known_ms.size - kept
            latest_ms = int(np.partition(self.known_ms, place)[place])
            recent: npt.NDArray[np.intp] = (self.known_ms >= latest_ms).nonzero()[0]
            if (np.bincount(self.channel[recent], minlength=wanted.size) >= wanted).all():
                return recent
            kept *= 8
        return np.arange(self.known_ms.size)


def _is_tripped(latest: Sequence[bool]) -> bool:
    return len(latest) >= STREAK and all(latest[-STREAK:])
