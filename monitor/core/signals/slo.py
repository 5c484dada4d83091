"""Error budgets: how many orders were judged and how many of them were bad, for 30 days.

Orders leave memory after hours, budgets last a month, so verdicts are counted where they fall:

    per minute for 6 h, per 5 min for 3 d, per hour for 30 d     × channel × (judged, and three faults)

An order is counted once, in all three, by its `judged_ms`; a correction moves the fault, not the
order. All are integers in rings of fixed size: books of N shards merge by addition into the one
that a single shard would have, and memory ends at 2 000 rows per channel.

    burn rate   (bad / judged) / (1 - objective)         1 uses the budget up exactly at its end
    budget left 1 - bad / (judged · (1 - objective))     negative once it is overspent

Source: Google SRE workbook, chapter 5, alerting on SLOs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from monitor.core.rules.tables import SignalTable
from monitor.core.signals.arrays import IntArray
from monitor.model.errors import InvariantError
from monitor.model.rules import Signal, Slo, Window
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS

METRICS = ("delayed_ratio", "bad_ratio", "failed_ratio")
REACH_MAX_MS = 6 * HOUR_MS  # how far `[5m:20]` looks back when it names no limit
_PACE_WINDOW = Window(span_ms=6 * HOUR_MS)
_TIERS = ((MINUTE_MS, 6 * HOUR_MS), (5 * MINUTE_MS, 3 * DAY_MS), (HOUR_MS, 30 * DAY_MS))
_JUDGED = 0
_COLUMNS = 1 + len(METRICS)
_CHANNELS_FIRST = 8
_NEWS_MAX = 10_000


class Fault(msgspec.Struct, frozen=True):
    """What counts against a judged order: breached its promise, not good at the end, failed."""

    is_breached: bool = False
    is_bad: bool = False
    is_failed: bool = False


class Spent(msgspec.Struct, frozen=True):
    """`k` bad of `n` judged orders of a window, and `value`, None without orders."""

    value: float | None
    k: int
    n: int


class BudgetState(msgspec.Struct, frozen=True, omit_defaults=True):
    """A book as data, equal for equal books.

    `rows`: (tier, bin, channel index, judged, breached, bad, failed), sorted, none all zero.
    """

    channels: tuple[str, ...] = ()
    newest_ms: int = 0
    rows: tuple[tuple[int, ...], ...] = ()


class _Sums(NamedTuple):
    """Shapes: int64[channels], or int64[1] overall."""

    k: IntArray
    n: IntArray


class _Ring:
    """Counts of one bin size; int64[rows, channels, judged and faults], overwritten in turn."""

    __slots__ = ("bin_ms", "bins", "counts", "length")

    def __init__(self, bin_ms: int, span_ms: int) -> None:
        self.bin_ms = bin_ms
        self.length = span_ms // bin_ms + 1  # the bin in which the span begins is kept whole
        self.bins = np.full(self.length, -1, dtype=np.int64)
        self.counts = np.zeros((self.length, _CHANNELS_FIRST, _COLUMNS), dtype=np.int64)

    def widen(self, channels: int) -> None:
        width = self.counts.shape[1]
        if channels > width:
            more = np.zeros((self.length, max(channels - width, width), _COLUMNS), dtype=np.int64)
            self.counts = np.concatenate([self.counts, more], axis=1)

    def row(self, bin_index: int, newest_ms: int) -> IntArray | None:
        """Counts of a bin, made when it is new; None if it is older than the ring reaches back."""
        if bin_index <= newest_ms // self.bin_ms - self.length:
            return None
        slot = bin_index % self.length
        if self.bins[slot] != bin_index:
            self.bins[slot] = bin_index
            self.counts[slot] = 0
        row: IntArray = self.counts[slot]
        return row

    def between(self, since_ms: int, now_ms: int, newest_ms: int) -> IntArray:
        """Slots of the bins that end after `since_ms` and have begun by `now_ms`, newest first."""
        last = now_ms // self.bin_ms
        first = max(since_ms // self.bin_ms, newest_ms // self.bin_ms - self.length + 1, 0)
        wanted = np.arange(last, max(first, last - self.length + 1) - 1, -1, dtype=np.int64)
        slots = wanted % self.length
        return np.asarray(slots[self.bins[slots] == wanted])


class SloBook:
    """Judged orders and their faults per channel. Times are event time, already bounded by ours.

    What is counted waits in `_news` until somebody reads: a cell of an array costs more than all
    else that is done for an order, and nearly all orders of a second go into the same few.
    """

    __slots__ = ("_columns", "_newest_ms", "_news", "_rings")

    def __init__(self) -> None:
        self._columns: dict[str, int] = {}
        self._news: dict[tuple[int, int], list[int]] = {}  # by minute and column
        self._newest_ms = 0
        self._rings = tuple(_Ring(bin_ms, span_ms) for bin_ms, span_ms in _TIERS)

    # --- counting -----------------------------------------------------------------------------

    def add(self, channel: str, judged_ms: int, fault: Fault) -> None:
        """Count an order that has just been judged; one older than 30 days is dropped."""
        self._count(channel, judged_ms, 1, fault, 1)

    def remove(self, channel: str, judged_ms: int, fault: Fault) -> None:
        """Take back what `add` counted with the same arguments."""
        self._count(channel, judged_ms, -1, fault, -1)

    def _count(self, channel: str, judged_ms: int, orders: int, fault: Fault, sign: int) -> None:
        if judged_ms > self._newest_ms:  # noqa: PLR1730 - a call is slow
            self._newest_ms = judged_ms
        key = (judged_ms // MINUTE_MS, self._column(channel))
        counts = self._news.get(key)
        if counts is None:
            if len(self._news) >= _NEWS_MAX:
                self._take_news()
            counts = self._news[key] = [0] * _COLUMNS
        counts[0] += orders
        if fault.is_breached or fault.is_bad or fault.is_failed:  # few are: spare the rest
            counts[1] += sign * fault.is_breached
            counts[2] += sign * fault.is_bad
            counts[3] += sign * fault.is_failed

    def _take_news(self) -> None:
        """Bring what was counted into the rings; minutes that they are past by now are dropped."""
        for (minute, column), counts in self._news.items():
            for ring in self._rings:
                row = ring.row(minute * MINUTE_MS // ring.bin_ms, self._newest_ms)
                if row is not None:
                    row[column] += counts
        self._news.clear()

    def _column(self, channel: str) -> int:
        column = self._columns.get(channel)
        if column is None:
            column = self._columns[channel] = len(self._columns)
            for ring in self._rings:
                ring.widen(len(self._columns))
        return column

    # --- reading ------------------------------------------------------------------------------

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels of which an order was ever judged, sorted."""
        return tuple(sorted(self._columns))

    def burn(self, slo: Slo, window: Window, now_ms: int, channel: str | None = None) -> Spent:
        """How many times too fast the budget is used up; 1 is just affordable."""
        k, n = self._single(slo, window, now_ms, channel)
        share = int(k[0]) / int(n[0]) if n[0] else None
        return Spent(None if share is None else share / slo.budget, int(k[0]), int(n[0]))

    def budget_remaining(self, slo: Slo, now_ms: int, channel: str | None = None) -> Spent:
        """Share of the window's budget that is left; negative when overspent."""
        spent = self.burn(slo, Window(span_ms=slo.window_ms), now_ms, channel)
        return Spent(None if spent.value is None else 1.0 - spent.value, spent.k, spent.n)

    def time_to_exhaustion(self, slo: Slo, now_ms: int, channel: str | None = None) -> int | None:
        """In how many ms the budget is gone at the pace of the last 6 h.

        0 when it is; None when nothing is bad or too little was judged to say.
        """
        left = self.budget_remaining(slo, now_ms, channel)
        pace = self.burn(slo, _PACE_WINDOW, now_ms, channel)
        if left.value is None or left.n < slo.min_count:
            return None
        if left.value <= 0.0:
            return 0
        return round(left.value * slo.window_ms / pace.value) if pace.value else None

    def table(
        self, signal: Signal, slos: Sequence[Slo], now_ms: int, *, is_split: bool
    ) -> SignalTable:
        """Answer `burn_rate` or `budget_remaining`, per channel or overall.

        A budget of fewer than `min_count` judged orders is not proven; a burn rate is proven by the
        binomial tail the reader computes. An SLO that is not there any more has no data.
        """
        slo = next((one for one in slos if one.name == signal.argument), None)
        label, names = ("channel", self.channels) if is_split else (None, ("",))
        if slo is None:
            return SignalTable(label, names, np.full(len(names), np.nan))
        is_burn = signal.name == "burn_rate"
        window = signal.window if is_burn and signal.window else Window(span_ms=slo.window_ms)
        columns = [self._columns[name] for name in names] if is_split else None
        sums = self._sums(slo, window, now_ms, columns)
        spent = np.where(sums.n > 0, sums.k / np.maximum(sums.n, 1) / slo.budget, np.nan)
        if not is_burn:
            is_proven = sums.n >= slo.min_count
            return SignalTable(label, names, 1.0 - spent, sums.k, sums.n, is_proven=is_proven)
        return SignalTable(label, names, spent, sums.k, sums.n, share_per_unit=slo.budget)

    def _single(self, slo: Slo, window: Window, now_ms: int, channel: str | None) -> _Sums:
        if channel is None:
            return self._sums(slo, window, now_ms, None)
        columns = [self._columns[channel]] if channel in self._columns else []
        sums = self._sums(slo, window, now_ms, columns)
        return sums if columns else _Sums(np.zeros(1, np.int64), np.zeros(1, np.int64))

    def _sums(self, slo: Slo, window: Window, now_ms: int, columns: list[int] | None) -> _Sums:
        """Add up each channel column, or all together, over its own (adaptive) window."""
        reach_ms = window.span_ms
        if window.min_orders:
            reach_ms = max(reach_ms, window.max_ms or REACH_MAX_MS)
        ring = next((one for one in self._rings if reach_ms < one.length * one.bin_ms), None)
        if ring is None:
            raise InvariantError(f"a window of {reach_ms} ms is longer than budgets are kept")
        self._take_news()
        slots = ring.between(now_ms - reach_ms, now_ms, self._newest_ms)
        counts = ring.counts[slots][:, :, [1 + METRICS.index(slo.metric), _JUDGED]]
        counts = counts.sum(axis=1, keepdims=True) if columns is None else counts[:, columns]
        since_bin = (now_ms - window.span_ms) // ring.bin_ms
        is_inside = np.repeat((ring.bins[slots] >= since_bin)[:, None], counts.shape[1], axis=1)
        if window.min_orders:
            # A bin counts if the later ones do not hold enough orders.
            later = np.cumsum(counts[:, :, 1], axis=0) - counts[:, :, 1]
            is_inside |= later < window.min_orders
        bad, judged = np.maximum(np.where(is_inside[:, :, None], counts, 0).sum(axis=0).T, 0)
        return _Sums(np.minimum(bad, judged), judged)

    # --- whole books --------------------------------------------------------------------------

    def state(self) -> BudgetState:
        """Give everything the book holds; equal books give equal states."""
        self._take_news()
        channels = self.channels
        columns = [self._columns[name] for name in channels]
        rows: list[tuple[int, ...]] = []
        for tier, ring in enumerate(self._rings):
            slots = ring.between(0, self._newest_ms, self._newest_ms)[::-1]
            counts = ring.counts[slots][:, columns]
            for at, channel in zip(*np.nonzero(counts.any(axis=2)), strict=True):
                numbers = counts[at, channel].tolist()
                rows.append((tier, int(ring.bins[slots[at]]), int(channel), *numbers))
        return BudgetState(channels, self._newest_ms, tuple(rows))

    def join(self, other: SloBook) -> None:
        """Add the book of another shard: `absorb` of its state, but as fast as array sums."""
        self._take_news()
        other._take_news()
        self._newest_ms = max(self._newest_ms, other._newest_ms)
        columns = [self._column(channel) for channel in other._columns]
        for ring, more in zip(self._rings, other._rings, strict=True):
            is_newer = more.bins > ring.bins
            ring.bins[is_newer] = more.bins[is_newer]
            ring.counts[is_newer] = 0
            slots = np.flatnonzero((more.bins == ring.bins) & (more.bins >= 0))
            ring.counts[slots[:, None], columns] += more.counts[slots][:, : len(columns)]

    def absorb(self, state: BudgetState) -> None:
        """Add another book, of another shard or from a snapshot."""
        self._take_news()
        self._newest_ms = max(self._newest_ms, state.newest_ms)
        columns = [self._column(channel) for channel in state.channels]
        for tier, bin_index, channel, *numbers in state.rows:
            row = self._rings[tier].row(bin_index, self._newest_ms)
            if row is not None:
                row[columns[channel]] += np.array(numbers, dtype=np.int64)


def merge(states: Sequence[BudgetState]) -> SloBook:
    """One book of many; the order does not matter."""
    book = SloBook()
    for state in states:
        book.absorb(state)
    return book
