"""Are payments still confirmed? Paid ÷ created per payment provider, and how long that takes.

Many checkouts are abandoned, so 40 % unpaid may be a good day: what is proven is proven against the
provider's own usual share, learned from hours that are two hours old and were not in doubt. Two
tests, as for arrivals: since the last order that was paid (every order counts with the chance that
its confirmation should be here by now), and windows of 5 min to 6 h with less than half the usual.
One owner (control) holds this; what shards count is `callback_counts.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, sqrt

import msgspec
import numpy as np

from monitor.core.rules.tables import SignalTable
from monitor.core.signals.arrays import FloatArray, IntArray, read_only
from monitor.core.signals.callback_counts import (
    LAG_BUCKETS,
    LAG_EDGES_MS,
    MINUTES,
    CallbackCounter,
)
from monitor.core.signals.evidence import binomial_tail, wilson_interval
from monitor.model.times import HOUR_MS, MINUTE_MS

GRACE_MIN_MS = MINUTE_MS
GRACE_MAX_MS = 30 * MINUTE_MS
WINDOWS_MIN = (5, 10, 20, 60, 180, 360)
SILENCE_BUDGET = 0.04
WINDOW_BUDGET = 0.01
"""Nominal false alarms in 30 days and provider."""

_LEARN_AFTER_MS = 2 * HOUR_MS
_UNLEARNED_MINUTES = (_LEARN_AFTER_MS + HOUR_MS) // MINUTE_MS
_KEPT_HOURS = MINUTES // 60 + 1
_PER_HOUR = 0.5 ** (1.0 / 168)
_INCIDENT_HOURS_MAX = 168
_READY_ORDERS = 30.0
_SHOWN_ORDERS = 20
_ONE_SIDED_95 = 1.645
_IN_GRACE = 0.95
_SLACK = 0.97
_DROP = 0.5
_LATE_QUANTILE = 0.95
_EDGES_MS: FloatArray = read_only(np.array(LAG_EDGES_MS, np.float64))
# How much the share of one hour differs from another's: 3 points, worth an hour of 45 orders.
_SPREAD_PRIOR, _SPREAD_WEIGHT = 0.03**2, 2_000.0


class CallbackReading(msgspec.Struct, frozen=True):
    """How the payments of one provider are confirmed.

    `paid` of `created` orders in `window_ms`; `usual` is the learned share (None while learning).
    `lag_s` is the 95th percentile of `n_lags` confirmations of the last hours; orders without one
    are not in it, because most of them were abandoned.
    """

    provider: str
    ratio: float | None
    window_ms: int
    paid: int
    created: int
    usual: float | None
    p: float = 1.0
    is_proven: bool = False
    lag_s: float | None = None
    n_lags: int = 0


class Usual(msgspec.Struct):
    """What is usual for one provider; weights halve in a week of learned hours."""

    provider: str
    paid: float = 0.0
    created: float = 0.0
    hours: float = 0.0
    excess: float = 0.0
    pairs: float = 0.0
    lags: tuple[float, ...] = (0.0,) * LAG_BUCKETS
    doubtful_until_minute: int = -1
    doubtful_from_minute: int = -1
    incident_hours: int = 0

    @property
    def share(self) -> float | None:
        """Learned paid ÷ created; None before 30 orders."""
        return self.paid / self.created if self.created >= _READY_ORDERS else None

    def doubt(self, from_minute: int, until_minute: int) -> None:
        """Not learn from these minutes, nor from those doubted before that are still to be learned."""
        if self.doubtful_until_minute >= until_minute - _UNLEARNED_MINUTES:
            from_minute = min(from_minute, self.doubtful_from_minute)
        self.doubtful_from_minute, self.doubtful_until_minute = from_minute, until_minute

    def learn(self, created: int, paid: int, lags: IntArray) -> None:
        """Take in one hour: its orders, how many were paid, and the lags of its payments."""
        share = self.share
        for name in ("paid", "created", "hours", "excess", "pairs"):
            setattr(self, name, getattr(self, name) * _PER_HOUR)
        if share is not None and created > 1:
            self.excess += (paid - created * share) ** 2 - created * share * (1.0 - share)
            self.pairs += created * (created - 1.0)
        self.paid += paid
        self.created += created
        self.hours += 1.0
        self.lags = tuple((np.array(self.lags) * _PER_HOUR + lags).tolist())


class _Norm(msgspec.Struct, frozen=True, eq=False):
    """What follows from `Usual` until the next hour is learned; asked at every look.

    `lowest_share`: a share that chance and the usual ups and downs would hardly go below.
    `orders_30d`: orders in 30 days at the learned rate. `grace_ms`: how old an order must be before
    its missing confirmation says something. `arrived_by` float64[buckets]: share of confirmations
    that come before each bucket of lags; None without any.
    """

    share: float | None
    lowest_share: float
    orders_30d: float
    grace_ms: int
    arrived_by: FloatArray | None

    @staticmethod
    def of(usual: Usual) -> _Norm:
        """Work it out."""
        low, _ = wilson_interval(usual.paid, max(1, round(usual.created)), _ONE_SIDED_95)
        spread = usual.excess + _SPREAD_WEIGHT * _SPREAD_PRIOR
        variance = spread / (usual.pairs + _SPREAD_WEIGHT)
        lags = np.array(usual.lags)
        total = lags.sum()
        late = lag_quantile_ms(lags, _LATE_QUANTILE)
        grace_ms = min(max(GRACE_MAX_MS if late is None else late, GRACE_MIN_MS), GRACE_MAX_MS)
        return _Norm(
            share=usual.share,
            lowest_share=max(0.0, low * _SLACK - sqrt(max(variance, 0.0))),
            orders_30d=max(1.0, usual.created / max(usual.hours, 1.0) * 720.0),
            grace_ms=int(grace_ms),
            arrived_by=np.append(0.0, np.cumsum(lags[:-1]) / total) if total > 0.0 else None,
        )

    def arrived(self, ages_ms: FloatArray) -> FloatArray:
        """Share of confirmations that come within an age; counted at lower edges."""
        if self.arrived_by is None:
            return np.where(ages_ms >= GRACE_MAX_MS, 1.0, 0.0)
        return self.arrived_by[_EDGES_MS.searchsorted(ages_ms, side="right")]


class CallbacksSnapshot(msgspec.Struct, frozen=True):
    """`Callbacks` at rest, providers by name; `missed`: hours that were not wholly watched."""

    learned_hour: int
    usual: tuple[Usual, ...] = ()
    missed: tuple[int, ...] = ()


class Callbacks:
    """Learns each provider's usual share and lag, and tells whether confirmations are missing."""

    def __init__(self, started_ms: int) -> None:
        self._learned_hour = -(-started_ms // HOUR_MS)
        self._usual: dict[str, Usual] = {}
        self._norms: dict[str, _Norm] = {}  # of the same, until another hour is learned
        self._readings: tuple[CallbackReading, ...] = ()
        self._read_at = -1
        self._missed: dict[int, None] = {}

    def not_observing(self, from_ms: int, until_ms: int) -> None:
        """Between these instants the monitor did not run: hours touched are not learned.

        The orders are judged all the same: their events come in later with their own times. Call
        `evaluate` only when they have.
        """
        until = -(-until_ms // HOUR_MS)
        first = max(from_ms // HOUR_MS, until - _KEPT_HOURS)  # earlier ones are not learned anyway
        self._missed |= dict.fromkeys(range(first, until))

    def learn(self, counter: CallbackCounter, now_ms: int) -> int:
        """Learn every hour that ended two hours ago and was not learned yet; returns how many."""
        oldest = (now_ms // MINUTE_MS - MINUTES + 1) // 60 + 1
        self._learned_hour = max(self._learned_hour, oldest)
        learned = 0
        while (self._learned_hour + 1) * HOUR_MS + _LEARN_AFTER_MS <= now_ms:
            self._learn_hour(counter, self._learned_hour)
            self._learned_hour += 1
            learned += 1
        if learned:
            self._norms.clear()
        self._missed = {hour: None for hour in self._missed if hour >= self._learned_hour}
        return learned

    def evaluate(self, counter: CallbackCounter, now_ms: int) -> tuple[CallbackReading, ...]:
        """Read every provider, by name; anew every five seconds.

        Remembers the window in which confirmations were missing, which is then not learned.
        """
        if now_ms // 5_000 == self._read_at:
            return self._readings
        names = counter.names
        minute = now_ms // MINUTE_MS
        created, paid = counter.matrices(names, minute)
        hour = now_ms // HOUR_MS
        lags = counter.lags(names, hour - 6, hour) if names else np.zeros((0, LAG_BUCKETS))
        ends_ms = (minute + 1 - np.arange(MINUTES)) * MINUTE_MS  # newest first
        ages_ms = (now_ms - ends_ms).astype(np.float64)
        self._readings = tuple(
            self._read(self._of(name), created[row], paid[row], lags[row], ages_ms, now_ms)
            for row, name in enumerate(names)
        )
        self._read_at = now_ms // 5_000
        return self._readings

    def snapshot(self) -> CallbacksSnapshot:
        """Everything learned."""
        kept = tuple(msgspec.structs.replace(self._usual[name]) for name in sorted(self._usual))
        return CallbacksSnapshot(self._learned_hour, kept, tuple(sorted(self._missed)))

    @classmethod
    def restore(cls, snapshot: CallbacksSnapshot) -> Callbacks:
        """Continue from a snapshot; say `not_observing` for the time since it was taken."""
        callbacks = cls(snapshot.learned_hour * HOUR_MS)
        callbacks._usual = {held.provider: msgspec.structs.replace(held) for held in snapshot.usual}
        callbacks._missed = dict.fromkeys(snapshot.missed)
        return callbacks

    def _of(self, provider: str) -> Usual:
        usual = self._usual.get(provider)
        if usual is None:
            usual = self._usual[provider] = Usual(provider)
        return usual

    def _learn_hour(self, counter: CallbackCounter, hour: int) -> None:
        names = counter.names
        if hour in self._missed or not names:
            return
        created, paid = counter.matrices(names, (hour + 1) * 60 - 1)
        lags = counter.lags(names, hour, hour)
        for row, name in enumerate(names):
            usual = self._of(name)
            is_doubtful = (
                usual.doubtful_from_minute < (hour + 1) * 60
                and usual.doubtful_until_minute >= hour * 60
            )
            usual.incident_hours = usual.incident_hours + 1 if is_doubtful else 0
            if is_doubtful and usual.incident_hours <= _INCIDENT_HOURS_MAX:
                continue
            n, k = int(created[row, -60:].sum()), int(paid[row, -60:].sum())
            usual.learn(n, min(k, n), lags[row])

    def _norm(self, usual: Usual) -> _Norm:
        norm = self._norms.get(usual.provider)
        if norm is None:
            norm = self._norms[usual.provider] = _Norm.of(usual)
        return norm

    def _read(
        self,
        usual: Usual,
        created: IntArray,
        paid: IntArray,
        lags: IntArray,
        ages_ms: FloatArray,
        now_ms: int,
    ) -> CallbackReading:
        norm = self._norm(usual)
        # Counts per minute, newest first; a payment never counts without its creation.
        created, paid = created[::-1], np.minimum(paid, created)[::-1]
        settled = int(ages_ms.searchsorted(norm.grace_ms))
        n = np.concatenate(([0], np.cumsum(created[settled:])))
        k = np.concatenate(([0], np.cumsum(paid[settled:])))
        sizes = np.minimum(np.array(WINDOWS_MIN), n.size - 1)
        shown = int(np.argmax(n[sizes] >= _SHOWN_ORDERS)) if n[sizes[-1]] >= _SHOWN_ORDERS else -1
        found = (settled + int(sizes[shown]), int(k[sizes[shown]]), int(n[sizes[shown]]), 1.0)
        is_proven = False
        if norm.share is not None and norm.lowest_share > 0.0:
            strength, candidate = self._weigh(norm, created, paid, ages_ms, (settled, n, k, sizes))
            if strength <= 1.0:
                is_proven, found = True, candidate
                usual.doubt(now_ms // MINUTE_MS - candidate[0], now_ms // MINUTE_MS)
        late = lag_quantile_ms(lags, _LATE_QUANTILE)
        minutes, n_paid, n_created, p = found
        return CallbackReading(
            usual.provider,
            n_paid / n_created if n_created else None,
            minutes * MINUTE_MS,
            n_paid,
            n_created,
            norm.share,
            p,
            is_proven,
            None if late is None else late / 1000.0,
            int(lags.sum()),
        )

    @staticmethod
    def _weigh(
        norm: _Norm,
        created: IntArray,
        paid: IntArray,
        ages_ms: FloatArray,
        settled: tuple[int, IntArray, IntArray, IntArray],
    ) -> tuple[float, tuple[int, int, int, float]]:
        """The strongest evidence, tail ÷ limit, with its (minutes, paid, created, tail)."""
        lowest, share = norm.lowest_share, norm.share or 0.0
        confirmed = np.flatnonzero(paid)
        run = int(confirmed[0]) if confirmed.size else MINUTES
        # Half the age: a gateway that takes twice as long as usual is slow, not dead.
        due = norm.arrived(np.maximum(ages_ms[:run], 0.0) / 2.0)
        tail = exp(float(np.sum(created[:run] * np.log1p(-lowest * due))))
        best = tail / (SILENCE_BUDGET / norm.orders_30d)
        found = (run, 0, int(created[:run].sum()), tail)
        start, n, k, sizes = settled
        for size, total, hits in zip(
            sizes.tolist(), n[sizes].tolist(), k[sizes].tolist(), strict=True
        ):
            if total == 0 or hits >= _DROP * share * total:
                continue
            looks = min(norm.orders_30d, 6.0 * 30 * 1440 / max(size, 1))
            tail = binomial_tail(total - hits, total, 1.0 - lowest * _IN_GRACE)
            strength = tail / (WINDOW_BUDGET / len(WINDOWS_MIN) / looks)
            if strength < best:
                best, found = strength, (start + size, hits, total, tail)
        return best, found


def lag_quantile_ms(counts: IntArray | FloatArray, q: float) -> float | None:
    """Upper edge of the bucket that holds a quantile; None without payments.

    A bucket is a quarter of an octave, so the figure is at most 19 % too high.
    """
    total = float(counts.sum())
    if total <= 0.0:
        return None
    place = int(np.searchsorted(np.cumsum(counts), q * total * (1.0 - 1e-9)))
    return float(LAG_EDGES_MS[min(place, len(LAG_EDGES_MS) - 1)])


def paid_table(readings: Sequence[CallbackReading]) -> SignalTable:
    """The signal `paid_ratio` per provider."""
    return SignalTable(
        label="provider",
        names=tuple(reading.provider for reading in readings),
        values=_or_nan([reading.ratio for reading in readings]),
        k=np.array([reading.paid for reading in readings], np.int64),
        n=np.array([reading.created for reading in readings], np.int64),
        p=np.array([reading.p for reading in readings], np.float64),
        is_proven=np.array([reading.is_proven for reading in readings], np.bool_),
    )


def lag_table(readings: Sequence[CallbackReading]) -> SignalTable:
    """The signal `callback_lag` per provider, seconds; k payments of n, all of them the basis."""
    lags = np.array([reading.n_lags for reading in readings], np.int64)
    return SignalTable(
        label="provider",
        names=tuple(reading.provider for reading in readings),
        values=_or_nan([reading.lag_s for reading in readings]),
        k=lags,
        n=lags,
    )


def _or_nan(values: Sequence[float | None]) -> FloatArray:
    return np.array([float("nan") if value is None else value for value in values], np.float64)
