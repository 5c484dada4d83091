"""Signals of one scope (all orders, or one channel) in one window: counts, delays, health.

A scope is a boolean mask over an `Observation`. Every number counts the orders still waiting.
"""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from monitor.core.signals.curve import SurvivalCurve
from monitor.core.signals.evidence import trimmed_mean_ms
from monitor.core.signals.health import Anchors, HealthSums, health_sums
from monitor.core.signals.observation import Bools, Ints, Kind, Observation
from monitor.core.signals.survival import period
from monitor.model.rules import Window
from monitor.model.times import HOUR_MS

REACH_MAX_MS = 6 * HOUR_MS  # how far `[10m:20]` looks back when it names no limit


class Counts(msgspec.Struct, frozen=True):
    """Verdicts of the orders judged in a window, and the open ones beside them."""

    judged: int
    breached: int
    good: int
    late_delivered: int
    late_pending: int
    failed: int
    refunded: int
    cancelled: int
    undecided: int


class Delays(msgspec.Struct, frozen=True):
    """Mean delay of judged orders, breached ones that wait counting with their age; milliseconds."""

    n: int
    mean_ms: float | None
    trimmed_ms: float | None


class Scope:
    """The orders of one scope at one instant.

    `is_by_channel`: what the fallback took over has left the scope's channel, so percentiles take
    it as censored there (no verdict on the channel, unless it had ended before).
    """

    def __init__(
        self, rows: Observation, mask: Bools, now_ms: int, *, is_by_channel: bool = False
    ) -> None:
        self.rows = rows
        self.mask = mask
        self.now_ms = now_ms
        taken = rows.taken_ms
        is_left = (taken > 0) & (rows.is_open | (rows.end_ms > taken))
        self._is_left: Bools = is_left if is_by_channel else np.zeros_like(is_left)

    def since_ms(self, window: Window) -> int:
        """Where a window starts: its span, or further back to its n-th latest judged order."""
        start_ms = self.now_ms - window.span_ms
        if window.last:
            return self._nth_latest_ms(window.last)
        if not window.min_orders:
            return start_ms
        adaptive = min(start_ms, self._nth_latest_ms(window.min_orders))
        longest_ms = window.max_ms or REACH_MAX_MS
        return max(adaptive, self.now_ms - max(longest_ms, window.span_ms))

    def judged_since(self, since_ms: int) -> Bools:
        """Orders judged in (since, now]."""
        judged = self.rows.judged_ms
        return np.asarray(self.mask & (judged > since_ms) & (judged <= self.now_ms))

    def counts(self, since_ms: int) -> Counts:
        """Verdict counts of the window; `undecided` are the scope's open orders still in time."""
        rows, chosen = self.rows, self.judged_since(since_ms)
        delivered = chosen & (rows.kind == Kind.DELIVERED)
        good = delivered & rows.is_good
        undecided = self.mask & rows.is_open & ~rows.is_judged
        return Counts(
            judged=_sum(chosen),
            breached=_sum(chosen & rows.is_breached),
            good=_sum(good),
            late_delivered=_sum(delivered & ~good),
            late_pending=_sum(chosen & rows.is_open),
            failed=_sum(chosen & (rows.kind == Kind.FAILED)),
            refunded=_sum(chosen & (rows.kind == Kind.REFUNDED)),
            cancelled=_sum(chosen & (rows.kind == Kind.CANCELLED)),
            undecided=_sum(undecided),
        )

    def delays(self, since_ms: int) -> Delays:
        """Mean and trimmed mean over the judged orders that were delivered or broke their promise."""
        chosen = self.judged_since(since_ms)
        counted = chosen & ((self.rows.kind == Kind.DELIVERED) | self.rows.is_breached)
        waits = self.rows.wait_ms(self.now_ms)[counted]
        if not len(waits):
            return Delays(0, None, None)
        return Delays(len(waits), float(waits.sum()) / len(waits), trimmed_mean_ms(waits))

    def curve(self, since_ms: int) -> SurvivalCurve:
        """Period survival curve: order-time spent in (since, now], left-truncated."""
        entry, leave, delivered = self._exposed(since_ms)
        return period(entry, leave, delivered)

    def longer_than(self, limit_ms: float, since_ms: int) -> tuple[int, int]:
        """(k, n): orders of the window that took or take longer than a limit, of those decided.

        Decided means delivered, closed, or already waiting longer than the limit; an order that has
        left is decided if it had waited longer by then. One yet to be paid is not counted.
        """
        rows, known = self.rows, self.mask & (self.rows.paid_ms <= self.now_ms)
        mine = known & ~self._is_left
        waits = rows.wait_ms(self.now_ms)
        ended = mine & ~rows.is_open & (rows.end_ms > since_ms) & (rows.end_ms <= self.now_ms)
        is_delivered = rows.kind == Kind.DELIVERED
        above = (waits > limit_ms) | ~is_delivered
        waiting = mine & rows.is_open & (waits > limit_ms)
        left_ms = rows.taken_ms
        left = known & self._is_left & (left_ms > since_ms) & (left_ms <= self.now_ms)
        waiting |= left & (np.maximum(left_ms - rows.paid_ms, 0) > limit_ms)
        return _sum((ended & above) | waiting), _sum(ended | waiting)

    def health(self, since_ms: int, anchors: Anchors) -> HealthSums:
        """Loss sums of orders finished in the window and of all that wait, mergeable."""
        rows = self.rows
        ended = self.mask & ~rows.is_open & (rows.end_ms > since_ms) & (rows.end_ms <= self.now_ms)
        waits = rows.wait_ms(self.now_ms)
        return health_sums(
            waits[ended & (rows.kind == Kind.DELIVERED)],
            waits[self.mask & rows.is_open],
            _sum(ended & (rows.kind == Kind.FAILED)),
            _sum(ended & (rows.kind == Kind.REFUNDED)),
            _sum(ended & (rows.kind == Kind.CANCELLED)),
            anchors,
        )

    def open_ages_ms(self) -> Ints:
        """Ages of the orders that wait."""
        return self.rows.wait_ms(self.now_ms)[self.mask & self.rows.is_open]

    def delivered_since(self, since_ms: int) -> int:
        """Orders delivered in (since, now]."""
        rows = self.rows
        recent = (rows.end_ms > since_ms) & (rows.end_ms <= self.now_ms)
        return _sum(self.mask & recent & (rows.kind == Kind.DELIVERED))

    def consecutive(self, *, good: bool) -> int:
        """How many of the latest judged orders in a row were good, or broke their promise."""
        chosen = self.mask & self.rows.is_judged
        flags = (self.rows.is_good if good else self.rows.is_breached)[chosen][::-1]
        misses = np.flatnonzero(~flags)
        return int(misses[0]) if len(misses) else len(flags)

    def _exposed(self, since_ms: int) -> tuple[Ints, Ints, npt.NDArray[np.bool_]]:
        rows, is_left = self.rows, self._is_left
        end_ms = np.where(is_left, rows.taken_ms, rows.end_ms)
        is_open = rows.is_open & ~is_left
        until = np.where(is_open, self.now_ms, np.minimum(end_ms, self.now_ms))
        never = ~is_open & ~is_left & (rows.kind != Kind.DELIVERED)
        # Closed without delivery is not censoring: such an order stays at risk to the end.
        until = np.where(never, self.now_ms, until)
        # By clock skew a delivery can precede its payment: it took no time, but it was one.
        until = np.maximum(until, rows.paid_ms)
        started = np.maximum(rows.paid_ms, since_ms)
        present = self.mask & (until >= started) & (rows.paid_ms <= self.now_ms)
        present &= is_open | (end_ms > since_ms)
        delivered = ~is_left & (rows.kind == Kind.DELIVERED) & (end_ms <= self.now_ms)
        entry = (started - rows.paid_ms)[present]
        leave = np.maximum(until - rows.paid_ms, 0)[present]
        return entry, leave, delivered[present]

    def _nth_latest_ms(self, count: int) -> int:
        judged = self.rows.judged_ms[self.mask & self.rows.is_judged]
        past = judged[judged <= self.now_ms]
        if not len(past):
            return self.now_ms
        return int(past[-count] if len(past) >= count else past[0]) - 1


def _sum(flags: Bools) -> int:
    return int(np.count_nonzero(flags))
