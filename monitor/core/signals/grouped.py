"""Signals of many scopes at once: one array per signal, one entry per scope.

It answers what `Scope` answers for one mask, from rows sorted by scope once and from sums of what
lies before each row. All of it is integers until the last division, so shards merged give the very
same numbers as one.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import numpy as np
import numpy.typing as npt

from monitor.core.signals.arrays import BoolArray, FloatArray, IntArray
from monitor.core.signals.evidence import trimmed_mean_ms
from monitor.core.signals.health import ANCHORS, UNITS, Anchors, loss, points
from monitor.core.signals.observation import Kind, Observation
from monitor.core.signals.percentiles import Lives, Percentiles
from monitor.core.signals.scope import REACH_MAX_MS
from monitor.core.signals.timeline import Timeline
from monitor.model.rules import Window

Scopes = npt.NDArray[np.int16]

SCOPES_MAX = 10_000
"""As many scopes as keys of `Timeline` have room for, and more than anybody reads alerts of."""


_FEW = 64
_WORST_SHARE_INVERSE = 20  # as in `trimmed_mean_ms`


class Grouped:
    """The orders of one instant, divided among `size` scopes.

    Shapes: scope int16[n] of the rows, -1 for those in none; None puts every row into the one scope.
    All results have one entry per scope. `is_by_channel`: what the fallback took over has left its
    channel, so percentiles take it as censored there.
    """

    def __init__(
        self,
        rows: Observation,
        scope: Scopes | None,
        size: int,
        now_ms: int,
        *,
        is_by_channel: bool = False,
        anchors: Anchors = ANCHORS,
    ) -> None:
        assert size == 1 if scope is None else size <= SCOPES_MAX
        self._rows = rows
        self._scope = scope
        self.size = size
        self.now_ms = now_ms
        self._is_by_channel = is_by_channel
        self._anchors = anchors
        self._since: dict[Window, IntArray] = {}
        self._from: dict[Window, IntArray] = {}
        self._sums: dict[str, IntArray] = {}
        self._trimmed: dict[tuple[Window, int], float | None] = {}
        self._ended_losses: tuple[IntArray, Scopes, IntArray] | None = None
        self._waiting_losses: tuple[IntArray, Scopes, IntArray] | None = None
        self._trimmed_health: dict[Window, FloatArray] = {}

    # --- windows ------------------------------------------------------------------------------

    def prepare(self, windows: Iterable[Window]) -> None:
        """Find where windows start, all at once: a thousand rules cost one search."""
        new = [window for window in dict.fromkeys(windows) if window not in self._since]
        if not new:
            return
        since = self._starts_of(new)
        position = self._judged_times.until(since)
        for index, window in enumerate(new):
            self._since[window] = since[index]
            self._from[window] = position[index]

    def since_ms(self, window: Window) -> IntArray:
        """Where a window starts: its span, or further back to its n-th latest judged order."""
        self.prepare((window,))
        return self._since[window]

    def _starts_of(self, windows: list[Window]) -> IntArray:
        """Shapes: int64[len(windows), size]."""
        fields = [(one.span_ms, one.min_orders, one.max_ms, one.last) for one in windows]
        span, fewest, longest, last = np.array(fields, np.int64).T[:, :, None]
        start = np.broadcast_to(self.now_ms - span, (len(windows), self.size))
        count = np.maximum(fewest, last)
        if not count.any():
            return start
        latest = self._nth_latest_ms(count)
        reach = np.maximum(np.where(longest > 0, longest, REACH_MAX_MS), span)
        adaptive = np.maximum(np.minimum(start, latest), self.now_ms - reach)
        return np.where(last > 0, latest, np.where(fewest > 0, adaptive, start))

    def _nth_latest_ms(self, count: IntArray) -> IntArray:
        """Just before the n-th latest judged order, or the first there is; now without any."""
        judged = self._rows.judged_ms[self._judged]
        if not judged.size:
            return np.full((len(count), self.size), self.now_ms)
        first, behind = self._first, self._behind
        place = np.minimum(np.maximum(behind - count, first), judged.size - 1)
        return np.where(behind > first, judged[place] - 1, self.now_ms)

    # --- verdicts -----------------------------------------------------------------------------

    def judged(self, window: Window) -> IntArray:
        """Orders judged in the window."""
        self.prepare((window,))
        return self._behind - self._from[window]

    def breached(self, window: Window) -> IntArray:
        """Those of them that broke their promise."""
        return self._counted("breached", window)

    def bad(self, window: Window) -> IntArray:
        """Those of them that were not delivered within the promise."""
        return self.judged(window) - self._counted("good", window)

    def failed(self, window: Window) -> IntArray:
        """Those of them that failed."""
        return self._counted("failed", window)

    def streak(self, *, good: bool) -> IntArray:
        """How many of the latest judged orders in a row were good, or broke their promise."""
        misses = np.flatnonzero(~self._flags("good" if good else "breached"))
        first, end = self._bounds[:-1], self._bounds[1:]
        if not misses.size:
            return end - first
        latest = np.searchsorted(misses, end, side="left") - 1
        miss = np.where(latest >= 0, misses[np.maximum(latest, 0)], -1)
        return end - 1 - np.maximum(miss, first - 1)

    def _counted(self, what: str, window: Window) -> IntArray:
        """Sum over the orders judged in the window."""
        self.prepare((window,))
        if what not in self._sums:
            values = self._flags(what) if what != "wait" else self._waits * self._flags("counted")
            sums = np.zeros(values.size + 1, np.int64)
            np.cumsum(values, out=sums[1:])
            self._sums[what] = sums
        sums, begin = self._sums[what], self._from[window]
        return np.asarray(sums[self._behind] - sums[begin])

    def _flags(self, what: str) -> BoolArray:
        """Claims about the judged orders, in their order here."""
        rows, chosen = self._rows, self._judged
        kind = rows.kind[chosen]
        match what:
            case "breached":
                return rows.breach_ms[chosen] > 0
            case "good":
                in_time = rows.end_ms[chosen] <= rows.deadline_ms[chosen]
                return np.asarray((kind == Kind.DELIVERED) & in_time)
            case "failed":
                return np.asarray(kind == Kind.FAILED)
            case _:
                return np.asarray((kind == Kind.DELIVERED) | (rows.breach_ms[chosen] > 0))

    # --- means --------------------------------------------------------------------------------

    def delays(self, window: Window) -> tuple[IntArray, FloatArray]:
        """(n, mean in ms): judged orders that were delivered or broke their promise; NaN for none.

        A breached one that still waits counts with its age.
        """
        n, total = self._counted("counted", window), self._counted("wait", window)
        return n, np.divide(total, n, out=np.full(self.size, np.nan), where=n > 0)

    def trimmed_ms(self, window: Window, scope: int) -> float | None:
        """Mean of one scope without its worst 5 %, at least one order."""
        key = (window, scope)
        if key not in self._trimmed:
            self.prepare((window,))
            part = slice(int(self._from[window][scope]), int(self._behind[scope]))
            waits = self._waits[part][self._is_counted[part]]
            self._trimmed[key] = _trimmed(waits) if waits.size <= _FEW else trimmed_mean_ms(waits)
        return self._trimmed[key]

    @cached_property
    def _is_counted(self) -> BoolArray:
        return self._flags("counted")

    @cached_property
    def _waits(self) -> IntArray:
        """How long the buyers of the judged orders waited, or have until now."""
        rows, chosen = self._rows, self._judged
        until = np.where(rows.kind[chosen] == Kind.OPEN, self.now_ms, rows.end_ms[chosen])
        return np.maximum(until - rows.paid_ms[chosen], 0)

    # --- flow, and what waits -------------------------------------------------------------------

    def paid(self, window: Window) -> IntArray:
        """Orders paid in the window."""
        return self._paid_times.after(self.since_ms(window))

    def delivered(self, window: Window) -> IntArray:
        """Orders delivered in the window."""
        return self._delivered_times.after(self.since_ms(window))

    def open_orders(self) -> IntArray:
        """Orders that wait."""
        return np.bincount(self._scope_at(self._open), minlength=self.size).astype(np.int64)

    def oldest_ms(self) -> IntArray:
        """Age of the oldest order that waits; 0 where none does."""
        paid = np.full(self.size, self.now_ms, np.int64)
        opened = self._rows.paid_ms[self._open]
        if self._scope is None:
            paid[0] = min(int(opened.min(initial=self.now_ms)), self.now_ms)
        else:
            np.minimum.at(paid, self._scope_at(self._open), opened)
        return self.now_ms - paid

    def health(self, window: Window) -> tuple[IntArray, FloatArray]:
        """(n, index): orders that weigh, and 100 minus their mean loss in percent; NaN for none."""
        since = self.since_ms(window)
        ends, scope, units = self._losses()
        is_inside = ends > (since if self._scope is None else since[scope])
        n_open, waiting, units_open = self._open_losses()
        n = np.bincount(scope[is_inside], minlength=self.size) + n_open
        lost = np.zeros(self.size, np.int64)
        np.add.at(lost, waiting, units_open)
        np.add.at(lost, scope[is_inside], units[is_inside])
        return n, _points(n, lost)

    def trimmed_health(self, window: Window) -> FloatArray:
        """The index without the worst 5 % of its orders, at least one; NaN where none is left."""
        if window not in self._trimmed_health:
            n, _ = self.health(window)
            since = self.since_ms(window)
            scope, ends, units, begin = self._worst_first
            is_inside = ends > since[scope]
            place = np.concatenate((np.zeros(1, np.int64), is_inside.cumsum()))
            left_out = np.maximum(1, -(-n // _WORST_SHARE_INVERSE))
            rank = place[1:] - place[begin[scope]]
            is_kept = is_inside & (rank > left_out[scope])
            lost = np.zeros(self.size, np.int64)
            np.add.at(lost, scope[is_kept], units[is_kept])
            self._trimmed_health[window] = _points(np.maximum(n - left_out, 0), lost)
        return self._trimmed_health[window]

    @cached_property
    def _worst_first(self) -> tuple[Scopes, IntArray, IntArray, IntArray]:
        """(scope, end, loss in units) of what loses anything, by scope, and where each begins.

        What waits is in every window. What loses nothing is never among the worst: it need not be
        ranked, for leaving it out or in leaves the sum as it is.
        """
        ends, ended, units = self._losses()
        _, waiting, units_open = self._open_losses()
        scope, lost = np.concatenate((ended, waiting)), np.concatenate((units, units_open))
        until = np.concatenate((ends, np.full(waiting.size, np.iinfo(np.int64).max)))
        losing = np.flatnonzero(lost)
        order = losing[np.lexsort((-lost[losing], scope[losing]))]
        scope = scope[order]
        begin = scope.searchsorted(np.arange(self.size)).astype(np.int64)
        return scope, until[order], lost[order], begin

    def _losses(self) -> tuple[IntArray, Scopes, IntArray]:
        """(end, scope, loss in units) of all orders that ended by now."""
        if self._ended_losses is None:
            rows = self._rows
            ended = self._within(np.flatnonzero(rows.kind != Kind.OPEN))
            ended = ended[rows.end_ms[ended] <= self.now_ms]
            waits = np.maximum(rows.end_ms[ended] - rows.paid_ms[ended], 0)
            is_delivered = rows.kind[ended] == Kind.DELIVERED
            units = np.where(is_delivered, _units(waits, self._anchors), UNITS)
            self._ended_losses = (rows.end_ms[ended], self._scope_at(ended), units)
        return self._ended_losses

    def _open_losses(self) -> tuple[IntArray, Scopes, IntArray]:
        """How many orders that wait weigh, by scope; and of each its scope and loss in units."""
        if self._waiting_losses is None:
            ages = np.maximum(self.now_ms - self._rows.paid_ms[self._open], 0)
            is_old = ages >= self._anchors[0][0]
            scope = self._scope_at(self._open)[is_old]
            n = np.bincount(scope, minlength=self.size).astype(np.int64)
            self._waiting_losses = (n, scope, _units(ages[is_old], self._anchors))
        return self._waiting_losses

    # --- percentiles --------------------------------------------------------------------------

    @cached_property
    def percentiles(self) -> Percentiles:
        """Percentiles of the delay, and how many orders are above a limit."""
        rows, chosen = self._rows, self._inside
        is_paid = rows.paid_ms[chosen] <= self.now_ms
        if not is_paid.all():
            chosen = np.arange(rows.key.size)[chosen][is_paid]
        parts = (rows.paid_ms[chosen], rows.end_ms[chosen], rows.kind[chosen])
        taken = rows.taken_ms[chosen] if self._is_by_channel else None
        scope = None if self._scope is None else self._scope[chosen]
        return Percentiles(Lives(scope, *parts, taken), self.size, self.now_ms)

    # --- rows by scope --------------------------------------------------------------------------

    @cached_property
    def _judged(self) -> slice | npt.NDArray[np.intp]:
        """Judged rows by scope, in canonical order within each."""
        # Rows are sorted by their judgement, those without one (0) first.
        start = int(np.searchsorted(self._rows.judged_ms, 0, side="right"))
        if self._scope is None:
            return slice(start, None)
        scope = self._scope[start:]
        order = np.argsort(scope, kind="stable")
        return order[np.searchsorted(scope[order], 0, side="left") :] + start

    @cached_property
    def _bounds(self) -> IntArray:
        """Where the judged rows of each scope begin, and behind the last one; int64[size + 1]."""
        if self._scope is None:
            return np.array([0, len(self._rows.judged_ms[self._judged])], np.int64)
        bounds = np.zeros(self.size + 1, np.int64)
        np.cumsum(np.bincount(self._scope[self._judged], minlength=self.size), out=bounds[1:])
        return bounds

    @property
    def _first(self) -> IntArray:
        return self._bounds[:-1]

    @cached_property
    def _behind(self) -> IntArray:
        """Position behind the last row judged by now."""
        return self._judged_times.until_now

    @cached_property
    def _judged_times(self) -> Timeline:
        scope = None if self._scope is None else self._scope[self._judged]
        times = self._rows.judged_ms[self._judged]
        return Timeline(scope, times, self.size, self.now_ms, is_sorted=True)

    @cached_property
    def _paid_times(self) -> Timeline:
        return self._times(self._rows.paid_ms, self._inside)

    @cached_property
    def _delivered_times(self) -> Timeline:
        chosen = np.flatnonzero(self._rows.kind == Kind.DELIVERED)
        return self._times(self._rows.end_ms, self._within(chosen))

    def _times(self, times: IntArray, chosen: slice | npt.NDArray[np.intp]) -> Timeline:
        scope = None if self._scope is None else self._scope[chosen]
        return Timeline(scope, times[chosen], self.size, self.now_ms)

    @cached_property
    def _open(self) -> npt.NDArray[np.intp]:
        return self._within(np.flatnonzero(self._rows.kind == Kind.OPEN))

    @cached_property
    def _inside(self) -> slice | npt.NDArray[np.intp]:
        return slice(None) if self._scope is None else np.flatnonzero(self._scope >= 0)

    def _within(self, chosen: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        return chosen if self._scope is None else chosen[self._scope[chosen] >= 0]

    def _scope_at(self, chosen: npt.NDArray[np.intp]) -> Scopes:
        if self._scope is None:
            return np.zeros(len(chosen), np.int16)
        return self._scope[chosen]


def _trimmed(waits: IntArray) -> float | None:
    """`trimmed_mean_ms` of few waits, for which calling numpy costs more than sorting a list."""
    ranked = sorted(waits.tolist())
    kept = len(ranked) - max(1, -(-len(ranked) // _WORST_SHARE_INVERSE))
    return sum(ranked[:kept]) / kept if kept > 0 else None


def _points(n: IntArray, lost: IntArray) -> FloatArray:
    """Health of each scope; NaN where nothing weighs."""
    sums = zip(n.tolist(), lost.tolist(), strict=True)
    return np.array([points(one, units) if one else np.nan for one, units in sums], np.float64)


def _units(ages_ms: IntArray, anchors: Anchors) -> IntArray:
    """Losses in fixed-point units; the logarithm only where anything is lost at all."""
    units = np.zeros(ages_ms.size, np.int64)
    is_losing = ages_ms > anchors[0][0]
    units[is_losing] = np.rint(loss(ages_ms[is_losing], anchors) * UNITS).astype(np.int64)
    return units
