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
from monitor.core.signals.observation import Kind, Observation
from monitor.model.times import HOUR_MS, MINUTE_MS

PROMPT_MS = 15 * MINUTE_MS
"""Orders with a longer promise are made to order: they have no common delay to be measured by."""
NEWS_MS = 10 * MINUTE_MS
"""News of an end older than this change nothing any more."""
LIFE_MS = 6 * HOUR_MS
"""An order older than this has been charged all it can be, and leaves."""

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
    leave = np.where(kind == Kind.OPEN, _OPEN_MS, end)
    is_taken = (taken > 0) & (taken < leave)
    return Waits(
        paid_ms=rows.paid_ms[index],
        leave_ms=np.where(is_taken, taken, leave),
        is_delivered=(kind == Kind.DELIVERED) & ~is_taken,
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

    `charged` and `delivered` are over the orders about which something is known, `aged` over all, as
    if none had left: it changes only when orders come from or go to another channel.
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
        self, rows: Observation, hazards: Hazards, offsets: Offsets, now_ms: int
    ) -> tuple[IntArray, IntArray]:
        """Advance to now; deliveries expected (1e-6) and seen since then, by code of `rows.channel`.

        Shapes: int64[channels] twice; zeros at the first instant. Both may be negative when news
        take back what was assumed.
        """
        names = rows.names.channel
        last_ms = now_ms if self.at_ms is None else self.at_ms
        is_recent = rows.paid_ms > last_ms - LIFE_MS
        is_recent &= (rows.kind == Kind.OPEN) | (rows.end_ms > last_ms - NEWS_MS)
        is_recent &= rows.deadline_ms - rows.paid_ms <= PROMPT_MS
        index = np.flatnonzero(is_recent)
        waits = _waits(rows, index)
        is_known = ~(rows.is_held[index] | rows.is_unconfirmed[index])
        charges = _Charges(waits, is_known, hazards, offsets, last_ms, now_ms, len(names))
        before = [self._standings.get(name, Standing()) for name in names]
        is_kept = (waits.paid_ms > now_ms - LIFE_MS) & (
            (rows.kind[index] == Kind.OPEN) | (rows.end_ms[index] > now_ms - NEWS_MS)
        )
        after = charges.standings(is_kept)
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


class _Charges:
    """One look at the recent orders: what they are charged now, and how old they were before."""

    def __init__(
        self,
        waits: Waits,
        is_known: BoolArray,
        hazards: Hazards,
        offsets: Offsets,
        last_ms: int,
        now_ms: int,
        n_channels: int,
    ) -> None:
        shifts = hazards.shifts_of(waits.channel, waits.paid_ms, offsets)
        ages = now_ms - waits.paid_ms
        self._n = n_channels
        self._channel = waits.channel
        self._aged = hazards.at(waits.channel, ages, shifts)
        self._charged = self._aged.copy()
        gone = np.flatnonzero(waits.leave_ms < now_ms)
        self._charged[gone] = hazards.at(
            waits.channel[gone],
            waits.leave_ms[gone] - waits.paid_ms[gone],
            None if shifts is None else shifts[gone],
        )
        self._charged *= is_known
        self._is_seen = waits.is_delivered & is_known & (waits.leave_ms <= now_ms)
        aged_before = hazards.at(waits.channel, ages - (now_ms - last_ms), shifts)
        self.aged_before = _sum(self._channel, aged_before, n_channels)
        self.charged = _sum(self._channel, self._charged, n_channels)
        self.delivered = np.bincount(self._channel[self._is_seen], minlength=n_channels)

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


def _sum(channel: IntArray, values: IntArray, n_channels: int) -> IntArray:
    """Sums by channel, exact: float64 holds sums of 1e-6 units of up to 4e8 orders."""
    return np.bincount(channel, weights=values, minlength=n_channels).astype(np.int64)


def _moved(left: IntArray) -> IntArray:
    """Corrections for orders that changed channel: keep the giver's charge, spare the taker.

    Shapes: int64[channels], charges that are no longer there (positive) or newly there (negative).
    Newly there may also be late news of orders, which is charged: only as much is spared as left.
    """
    gone = int(left[left > 0].sum())
    if not gone:
        return np.zeros_like(left)
    come = -int(left[left < 0].sum())
    kept = np.maximum(left, 0)
    if come:
        spared = [value * min(gone, come) // come for value in np.minimum(left, 0).tolist()]
        kept += np.array(spared, np.int64)
    return kept
