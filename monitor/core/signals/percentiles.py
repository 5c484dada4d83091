"""Percentiles of the delay of many scopes at once, and the counts that prove them.

The curve of a scope is that of `survival.curve`: order-time spent in the window by age bucket. Here
it is worked out only for the buckets in which something was delivered, for all scopes together.
What spends time in such a bucket is a difference of counts, so nothing is spread over 1,024
buckets per order or per scope.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from monitor.core.signals.arrays import BoolArray, FloatArray, IntArray
from monitor.core.signals.histogram import TOP_MS, UPPER_MS, UPPER_S, bucket_indices
from monitor.core.signals.observation import Kind
from monitor.core.signals.timeline import Timeline

_TAKEN = 9  # beside `Kind`: its channel lost the order to the fallback, which is no verdict on it
_TIE = 1e-9  # relative slack of S(t) ≤ 1 - q, as in `curve`
_SMALLEST = float(np.finfo(np.float64).tiny)
_BELOW_MS: IntArray = np.concatenate((np.zeros(1, np.int64), UPPER_MS[:-1]))
_BELOW_S: FloatArray = np.concatenate((np.zeros(1), UPPER_S[:-1]))


class Lives:
    """How the wait of each order went on and ended, as percentiles see it.

    Shapes: int[n] each, kept by scope; scope None means one scope. `taken` None: an order that the fallback took
    over goes on; else its wait is known until then only, unless it had ended before.
    """

    def __init__(
        self,
        scope: npt.NDArray[np.int16] | None,
        paid: IntArray,
        end: IntArray,
        kind: npt.NDArray[np.int8],
        taken: IntArray | None,
    ) -> None:
        if scope is None:
            scope = np.zeros(paid.size, np.int16)
        else:
            order = np.argsort(scope, kind="stable")
            scope, paid, end, kind = scope[order], paid[order], end[order], kind[order]
            taken = None if taken is None else taken[order]
        self.scope, self.paid, self.end, self.kind = scope, paid, end, kind
        if taken is not None and taken.any():
            is_taken = (taken > 0) & ((kind == Kind.OPEN) | (end > taken))
            self.end = np.where(is_taken, taken, end)
            self.kind = np.where(is_taken, np.int8(_TAKEN), kind)


class _Spent(NamedTuple):
    """The part of lives that lies in a window: ages at its start and end, and whether it delivered."""

    scope: IntArray
    entry: IntArray
    leave: IntArray
    is_delivered: BoolArray


class _Curves(NamedTuple):
    """Survival of each scope at the ends of the buckets from `first` on; float64[size, buckets]."""

    first: int
    survival: FloatArray


class Percentiles:
    """Percentiles of `size` scopes; results have one entry per scope.

    Windows are given by where they start in each scope, int64[size], and end now.
    """

    def __init__(self, lives: Lives, size: int, now_ms: int) -> None:
        self._lives = lives
        self._size = size
        self._now_ms = now_ms
        self._curves: dict[bytes, _Curves | None] = {}
        self._ended: Timeline | None = None
        self._above: dict[float | bytes, tuple[Timeline, Timeline, IntArray]] = {}

    def longer_than(
        self, limit_ms: float | FloatArray, since_ms: IntArray
    ) -> tuple[IntArray, IntArray]:
        """(k, n): orders of the window that took or take longer than a limit, of those decided.

        Decided means delivered, closed, or already waiting longer than the limit: one for all, or
        float64[size].
        """
        if self._ended is None:
            kind = self._lives.kind
            self._ended = self._times((kind != Kind.OPEN) & (kind != _TAKEN))
        key = limit_ms if isinstance(limit_ms, float) else limit_ms.tobytes()
        if key not in self._above:
            self._above[key] = self._times_above(limit_ms)
        above, taken, waiting = self._above[key]
        lasting = waiting + taken.after(since_ms)
        k = above.after(since_ms) + lasting
        return k, self._ended.after(since_ms) + lasting

    def values_s(self, quantile: float, since_ms: IntArray, wanted: IntArray) -> FloatArray:
        """Age in seconds by which a share of the orders is delivered; inf where it is not reached.

        Shapes: int64[size], int64[m] ascending scopes → float64[m].
        """
        curves = self._of(since_ms, wanted)
        if curves is None:
            return np.full(wanted.size, np.inf)
        left = 1.0 - quantile
        is_down = curves.survival <= left * (1.0 + _TIE)
        point = is_down.argmax(axis=1)
        scopes = np.arange(wanted.size)
        hazard = -np.log(np.maximum(curves.survival[scopes, point], _SMALLEST))
        before = -np.log(np.maximum(curves.survival[scopes, np.maximum(point - 1, 0)], _SMALLEST))
        before = np.where(point > 0, before, 0.0)
        # ln S is straight inside a bucket; `is_down` begins where something was delivered.
        rise = np.where(hazard > before, hazard - before, 1.0)
        share = np.clip((-np.log(max(left, _SMALLEST)) - before) / rise, 0.0, 1.0)
        bucket = point + curves.first
        age = _BELOW_S[bucket] + share * (UPPER_S[bucket] - _BELOW_S[bucket])
        return np.where(is_down[scopes, point], age, np.inf)

    # --- counts -------------------------------------------------------------------------------

    def _times_above(self, limit_ms: float | FloatArray) -> tuple[Timeline, Timeline, IntArray]:
        """Ends of what took longer, ends of what was taken over later, and how many wait longer."""
        lives = self._lives
        is_open = lives.kind == Kind.OPEN
        waits = np.maximum(np.where(is_open, self._now_ms, lives.end) - lives.paid, 0)
        is_above = waits > (limit_ms if isinstance(limit_ms, float) else limit_ms[lives.scope])
        is_taken = lives.kind == _TAKEN
        is_closed = ~is_open & ~is_taken & (lives.kind != Kind.DELIVERED)
        took = (is_above & (lives.kind == Kind.DELIVERED)) | is_closed
        waiting = np.bincount(lives.scope[is_open & is_above], minlength=self._size)
        return self._times(took), self._times(is_above & is_taken), waiting.astype(np.int64)

    def _times(self, chosen: BoolArray) -> Timeline:
        lives = self._lives
        return Timeline(lives.scope[chosen], lives.end[chosen], self._size, self._now_ms)

    # --- curves -------------------------------------------------------------------------------

    def _of(self, since_ms: IntArray, wanted: IntArray) -> _Curves | None:
        key = since_ms.tobytes() + wanted.tobytes()
        if key not in self._curves:
            spent = self._spent(since_ms, wanted)
            self._curves[key] = _survival(spent, wanted.size)
        return self._curves[key]

    def _spent(self, since_ms: IntArray, wanted: IntArray) -> _Spent:
        """The part of lives that lies in the window; scopes are numbered as they are in `wanted`."""
        lives, now = self._lives, self._now_ms
        begin, end = (lives.scope.searchsorted(wanted, side=side) for side in ("left", "right"))
        parts = [slice(*part) for part in zip(begin.tolist(), end.tolist(), strict=True)]
        if wanted.size == self._size:
            parts = [slice(None)]
        scope, paid, end, kind = (
            np.concatenate([column[part] for part in parts])
            for column in (lives.scope, lives.paid, lives.end, lives.kind)
        )
        is_near = (kind == Kind.OPEN) | (end > since_ms[scope])
        scope, paid, end, kind = (column[is_near] for column in (scope, paid, end, kind))
        since = since_ms[scope]
        is_open = kind == Kind.OPEN
        # Closed without delivery is not censoring: such an order stays at risk to the end.
        is_waiting = is_open | ((kind != Kind.DELIVERED) & (kind != _TAKEN))
        until = np.where(is_waiting, now, np.minimum(end, now))
        # By clock skew a delivery can precede its payment: it took no time, but it was one.
        until = np.maximum(until, paid)
        started = np.maximum(paid, since)
        is_present = until >= started
        is_delivered = (kind == Kind.DELIVERED) & (end <= now)
        entry = np.clip(started - paid, 0, TOP_MS)
        leave = np.maximum(np.clip(until - paid, 0, TOP_MS), entry)
        place = wanted.searchsorted(scope)
        return _Spent(*(column[is_present] for column in (place, entry, leave, is_delivered)))


def _survival(spent: _Spent, size: int) -> _Curves | None:
    """S = exp(-Σ ln((n + ½)/(n - e + ½))) over buckets with e deliveries; see `survival.curve`."""
    leave = bucket_indices(spent.leave)
    delivered = leave[spent.is_delivered]
    if not delivered.size:
        return None
    first, last = int(delivered.min()), int(delivered.max())
    shape = (size, last - first + 3)
    # Columns: ages before the first delivery, each bucket up to the last, and all beyond.
    row = spent.scope * shape[1]
    place = row + np.clip(leave - first + 1, 0, shape[1] - 1)
    entering = np.flatnonzero(spent.entry)
    entry = bucket_indices(spent.entry[entering])
    entry_place = row[entering] + np.clip(entry - first + 1, 0, shape[1] - 1)
    cells = shape[0] * shape[1]
    events = np.bincount(place[spent.is_delivered], minlength=cells)
    # An order spends all of each bucket between those of its entry and its end, and parts of
    # these two. A delivered one counts as at risk to the end of its bucket.
    change = np.bincount(place, minlength=cells) - np.bincount(entry_place, minlength=cells)
    by_scope = change.reshape(shape)
    through = (by_scope[:, ::-1].cumsum(axis=1)[:, ::-1] - by_scope).ravel() + events
    part = np.zeros(cells, np.int64)
    ending = ~spent.is_delivered
    np.add.at(part, place[ending], (spent.leave - _BELOW_MS[leave])[ending])
    np.subtract.at(part, entry_place, spent.entry[entering] - _BELOW_MS[entry])
    hits = np.flatnonzero(events)
    bucket = hits % shape[1] + first - 1
    width = UPPER_MS[bucket] - _BELOW_MS[bucket]
    deliveries = events[hits].astype(np.float64)
    at_risk = np.maximum((through[hits] * width + part[hits]) / width, deliveries)
    hazard = np.zeros(cells)
    hazard[hits] = np.log((at_risk + 0.5) / (at_risk - deliveries + 0.5))
    return _Curves(first, np.exp(-hazard.reshape(shape)[:, 1:-1].cumsum(axis=1)))
