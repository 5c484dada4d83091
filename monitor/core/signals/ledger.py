"""Deliveries expected and seen per channel between two instants: the increments of the charts.

Two ways to the same integers. `increments` knows every order's end and splits a past span into
steps; it serves recovery and simulation. `Ledger` is the live one: news come late, so it takes the
difference of two totals, "what all recent orders had been charged by then, as known then". An order
first charged as waiting and later known as delivered is thereby credited what it was charged beyond
its delivery, and counted, in the step that brings the news; an order first seen delivered is charged
and counted in full. Either way it brings one delivery for one expected: O - E stays a martingale.

What the difference must not do is to move old charges. An order that another channel takes over
after a minute would give its charge back to the dead channel and put it on the rescuer. So the
ledger also compares the ages that were there: what left a channel without ending is not given back,
and what joined from another channel is not charged for its past.
"""

from __future__ import annotations

import msgspec
import numpy as np

from monitor.core.signals.arrays import BoolArray, IntArray
from monitor.core.signals.calendar import Offsets
from monitor.core.signals.hazard import Hazards
from monitor.core.signals.heard import Heard
from monitor.core.signals.observation import Kind, Observation
from monitor.model.times import HOUR_MS, MINUTE_MS

PROMPT_MS = 15 * MINUTE_MS
"""Orders with a longer promise are made to order: they have no common delay to be measured by."""
NEWS_MS = 10 * MINUTE_MS
"""News of an end older than this change nothing any more."""
LIFE_MS = 6 * HOUR_MS
"""An order older than this has been charged all it can be, and leaves."""

_OPEN, _DELIVERED = Kind.OPEN.value, Kind.DELIVERED.value
_OPEN_MS = 1 << 62
_CHUNK = 1 << 21


class Waits(msgspec.Struct, frozen=True, eq=False):
    """When orders were paid and left their channel. Shapes: int64[n] except is_delivered bool[n].

    `leave_ms` is 2**62 while the order waits. An order the fallback took over at a fixed age leaves
    without a delivery (type-I censoring), as one that was refunded, cancelled or failed does.
    """

    paid_ms: IntArray
    leave_ms: IntArray
    is_delivered: BoolArray
    channel: IntArray


def is_prompt(paid_ms: int, deadline_ms: int) -> bool:
    """Whether an order's promise is short enough for charts and for learning."""
    return deadline_ms - paid_ms <= PROMPT_MS


def waits_of(rows: Observation, chosen: BoolArray | None = None) -> Waits:
    """The waits of prompt orders about which something is known: not held, not unconfirmed."""
    mask = (rows.deadline_ms - rows.paid_ms <= PROMPT_MS) & ~rows.is_held & ~rows.is_unconfirmed
    return _waits(rows, np.flatnonzero(mask if chosen is None else mask & chosen))


def _waits(rows: Observation, index: IntArray) -> Waits:
    kind, end, taken = rows.kind[index], rows.end_ms[index], rows.taken_ms[index]
    leave = np.where(kind == _OPEN, _OPEN_MS, end)
    is_taken = (taken > 0) & (taken < leave)
    return Waits(
        paid_ms=rows.paid_ms[index],
        leave_ms=np.where(is_taken, taken, leave),
        is_delivered=(kind == _DELIVERED) & ~is_taken,
        channel=rows.channel[index].astype(np.int64),
    )


def increments(
    waits: Waits, edges_ms: IntArray, hazards: Hazards, offsets: Offsets = ()
) -> tuple[IntArray, IntArray]:
    """Deliveries expected (in 1e-6) and seen in each step (edges[s], edges[s + 1]].

    Shapes: int64[steps + 1] ascending → int64[channels, steps] twice; `waits.channel` is the
    position in `hazards`.
    """
    n_steps, n_channels = len(edges_ms) - 1, len(hazards.shifts)
    expected = np.zeros(n_channels * n_steps, np.int64)
    observed = np.zeros(n_channels * n_steps, np.int64)
    first = np.maximum(np.searchsorted(edges_ms, waits.paid_ms, side="right") - 1, 0)
    last = np.searchsorted(edges_ms, waits.leave_ms, side="left") - 1
    is_seen = waits.is_delivered & (last >= 0) & (last < n_steps)
    np.add.at(observed, waits.channel[is_seen] * n_steps + last[is_seen], 1)
    lives = np.maximum(np.minimum(last, n_steps - 1) - first + 1, 0)
    shifts = hazards.shifts_of(waits.channel, waits.paid_ms, offsets)
    reached = np.cumsum(lives)
    begin = 0
    while begin < len(lives):
        done = int(reached[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(reached, done + _CHUNK, side="right")))
        part = slice(begin, end)
        order = np.repeat(np.arange(begin, end), lives[part])
        step = np.arange(len(order)) - np.repeat(reached[part] - lives[part] - done, lives[part])
        step += first[order]
        channel, paid = waits.channel[order], waits.paid_ms[order]
        shift = None if shifts is None else shifts[order]
        until = np.minimum(edges_ms[step + 1], waits.leave_ms[order])
        grown = hazards.at(channel, until - paid, shift)
        grown -= hazards.at(channel, edges_ms[step] - paid, shift)
        np.add.at(expected, channel * n_steps + step, grown)
        begin = end
    shape = (n_channels, n_steps)
    return expected.reshape(shape), observed.reshape(shape)


class Standing(msgspec.Struct, frozen=True):
    """What one channel's recent orders had been charged at an instant, in 1e-6, and how many were in.

    `charged` is as far as the orders' sources are believed, `aged` as if none had left: it changes
    only when orders come from or go to another channel.
    """

    charged: int = 0
    delivered: int = 0
    aged: int = 0


class LedgerState(msgspec.Struct, frozen=True):
    """Everything a ledger knows, channels sorted by name."""

    at_ms: int
    standings: tuple[tuple[str, Standing], ...]


class Ledger:
    """The totals at the last instant, and the step from there to the next."""

    def __init__(self, state: LedgerState | None = None) -> None:
        self.at_ms = state.at_ms if state else None
        self._standings = dict(state.standings) if state else {}

    def snapshot(self) -> LedgerState | None:
        """The state as plain data; None before the first instant."""
        if self.at_ms is None:
            return None
        return LedgerState(self.at_ms, tuple(sorted(self._standings.items())))

    def step(
        self,
        rows: Observation,
        hazards: Hazards,
        offsets: Offsets,
        now_ms: int,
        heard: Heard | None = None,
    ) -> tuple[IntArray, IntArray]:
        """Advance to now; deliveries expected (1e-6) and seen since then, by code of `rows.channel`.

        Shapes: int64[channels] twice; zeros at the first instant. Both may be negative when news
        take back what was assumed. An order is charged no further than its source is believed, and
        for the rest when the source speaks again; None as `heard`: all are believed.
        """
        names = rows.names.channel
        last_ms = now_ms if self.at_ms is None else self.at_ms
        recent = _Recent(rows, last_ms)
        charges = recent.charges(hazards, offsets, last_ms, now_ms, heard)
        before = [self._standings.get(name, Standing()) for name in names]
        after = charges.standings(recent.is_kept(now_ms))
        is_first = self.at_ms is None
        self.at_ms = now_ms
        # A channel that left the names left with its orders.
        self._standings = dict(zip(names, after, strict=True))
        if is_first:
            return np.zeros(len(names), np.int64), np.zeros(len(names), np.int64)
        charged = charges.charged - np.array([one.charged for one in before], np.int64)
        delivered = charges.delivered - np.array([one.delivered for one in before], np.int64)
        left = np.array([one.aged for one in before], np.int64) - charges.aged_before
        return charged + _moved(left), delivered

    def rebase(
        self, rows: Observation, hazards: Hazards, offsets: Offsets, heard: Heard | None
    ) -> None:
        """Charge what was charged at the last instant anew: another delay is normal from now on.

        Else the next step would take the difference between two ideas of normal for missing orders.
        """
        if self.at_ms is None:
            return
        recent = _Recent(rows, self.at_ms)
        charges = recent.charges(hazards, offsets, self.at_ms, self.at_ms, heard)
        renewed = charges.standings(recent.is_kept(self.at_ms))
        for name, one in zip(rows.names.channel, renewed, strict=True):
            known = self._standings.get(name, Standing())
            self._standings[name] = msgspec.structs.replace(one, delivered=known.delivered)


class _Recent:
    """The prompt orders that a step from an instant on looks at."""

    def __init__(self, rows: Observation, last_ms: int) -> None:
        is_recent = rows.paid_ms > last_ms - LIFE_MS
        is_recent &= rows.is_open | (rows.end_ms > last_ms - NEWS_MS)
        is_recent &= rows.deadline_ms - rows.paid_ms <= PROMPT_MS
        self._rows = rows
        self._index = is_recent.nonzero()[0]
        self._waits = _waits(rows, self._index)

    def charges(
        self, hazards: Hazards, offsets: Offsets, last_ms: int, now_ms: int, heard: Heard | None
    ) -> _Charges:
        """What they are charged at an instant."""
        n_channels = len(self._rows.names.channel)
        charges = _Charges(self._waits, hazards, offsets, last_ms, now_ms, n_channels)
        charges.spare(_believed_ms(self._rows, self._index, heard, now_ms))
        return charges

    def is_kept(self, now_ms: int) -> BoolArray:
        """Which of them the next step will look at again."""
        rows, index = self._rows, self._index
        is_open = rows.is_open[index]
        is_young = self._waits.paid_ms > now_ms - LIFE_MS
        return np.asarray(is_young & (is_open | (rows.end_ms[index] > now_ms - NEWS_MS)))


class _Charges:
    """One look at the recent orders: what they are charged now, and how old they were before."""

    def __init__(
        self,
        waits: Waits,
        hazards: Hazards,
        offsets: Offsets,
        last_ms: int,
        now_ms: int,
        n_channels: int,
    ) -> None:
        shifts = hazards.shifts_of(waits.channel, waits.paid_ms, offsets)
        n, gone = len(waits.paid_ms), (waits.leave_ms < now_ms).nonzero()[0]
        ages = now_ms - waits.paid_ms
        lived = waits.leave_ms[gone] - waits.paid_ms[gone]
        # Now, at the last instant, and for those that left when they did: in one look.
        looked = hazards.at(
            np.concatenate((waits.channel, waits.channel, waits.channel[gone])),
            np.concatenate((ages, ages - (now_ms - last_ms), lived)),
            None if shifts is None else np.concatenate((shifts, shifts, shifts[gone])),
        )
        self._waits, self._now_ms = waits, now_ms
        self._hazards, self._shifts = hazards, shifts
        self._n = n_channels
        self._channel = waits.channel
        self._aged = looked[:n]
        self._charged = self._aged.copy()
        self._charged[gone] = looked[2 * n :]
        self._is_seen = waits.is_delivered & (waits.leave_ms <= now_ms)
        self.aged_before = _sum(self._channel, looked[n : 2 * n], n_channels)
        self.charged = _sum(self._channel, self._charged, n_channels)
        self.delivered = np.bincount(self._channel[self._is_seen], minlength=n_channels)

    def spare(self, until_ms: IntArray) -> None:
        """Charge orders that wait only up to a time each; shapes: int64[n]."""
        waits, shifts = self._waits, self._shifts
        open_ = ((waits.leave_ms >= self._now_ms) & (until_ms < self._now_ms)).nonzero()[0]
        if not open_.size:
            return
        self._charged[open_] = self._hazards.at(
            waits.channel[open_],
            np.maximum(until_ms[open_] - waits.paid_ms[open_], 0),
            None if shifts is None else shifts[open_],
        )
        self.charged = _sum(self._channel, self._charged, self._n)

    def standings(self, is_kept: BoolArray) -> list[Standing]:
        """The totals that the next step starts from, over the orders that will still matter."""
        channel = self._channel[is_kept]
        charged = _sum(channel, self._charged[is_kept], self._n)
        aged = _sum(channel, self._aged[is_kept], self._n)
        delivered = np.bincount(self._channel[self._is_seen & is_kept], minlength=self._n)
        return [
            Standing(int(charged[code]), int(delivered[code]), int(aged[code]))
            for code in range(self._n)
        ]


def _believed_ms(rows: Observation, index: IntArray, heard: Heard | None, now_ms: int) -> IntArray:
    """Up to when the silence about each order means that it waits; shapes: int64[n]."""
    is_unheard, is_held = rows.is_unconfirmed[index], rows.is_held[index]
    if heard is None:
        return np.where(is_unheard | is_held, 0, now_ms)
    source = rows.source[index]
    believed = np.where(is_unheard, heard.held_ms[source], heard.quiet_ms[source])
    return np.where(is_held & ~is_unheard, 0, believed)  # a backlog is not charged while it is held


def _sum(channel: IntArray, values: IntArray, n_channels: int) -> IntArray:
    """Sums by channel, exact: float64 holds sums of 1e-6 units of up to 4e8 orders."""
    return np.bincount(channel, weights=values, minlength=n_channels).astype(np.int64)


def _moved(left: IntArray) -> IntArray:
    """Corrections for orders that changed channel: keep the giver's charge, spare the taker.

    Shapes: int64[channels], charges that are no longer there (positive) or newly there (negative).
    Only as much moved as left one channel and came to another. The rest that left were orders whose
    end, long ago, is heard of only now: their charge is given back. The rest that came is late news
    of orders, which is charged.
    """
    gone, come = int(left[left > 0].sum()), -int(left[left < 0].sum())
    moved = min(gone, come)
    if not moved:
        return np.zeros_like(left)
    parts = [value * moved // (gone if value > 0 else come) for value in left.tolist()]
    return np.array(parts, np.int64)
