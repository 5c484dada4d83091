"""How long prompt orders took, per channel and hour: what baselines are learned from.

Counts by histogram bucket, so that shards add up exactly. An hour is kept for three days after it
was learned, for the case that the baseline has to be learned anew from a change on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np

from monitor.core.signals.arrays import IntArray
from monitor.core.signals.histogram import BUCKETS, bucket_index
from monitor.model.ids import ALL_ORDERS
from monitor.model.times import DAY_MS, HOUR_MS

KEPT_MS = 72 * HOUR_MS
"""How long an hour stays after it was learned."""
UNLEARNED_MS = 35 * DAY_MS
"""How long an hour waits to be learned: a channel with an order a day needs weeks for twenty."""


class PaceRow(msgspec.Struct, frozen=True):
    """One channel in one hour, as sorted (bucket, count) pairs."""

    hour_ms: int
    channel: str
    delivered: tuple[tuple[int, int], ...]
    never: int = 0


class _Pace(msgspec.Struct, gc=False):
    """Delivered by bucket, never delivered, and how many that are."""

    delivered: dict[int, int]
    never: int = 0
    n: int = 0

    def add(self, bucket: int, count: int) -> None:
        self.n += count
        count += self.delivered.get(bucket, 0)
        if count:
            self.delivered[bucket] = count
        else:
            del self.delivered[bucket]

    def add_never(self, count: int) -> None:
        self.never += count
        self.n += count

    def add_all(self, delivered: Iterable[tuple[int, int]], never: int, sign: int) -> None:
        for bucket, count in delivered:
            self.add(bucket, sign * count)
        self.add_never(sign * never)

    def counts(self) -> IntArray:
        counts = np.zeros(BUCKETS, np.int64)
        counts[list(self.delivered)] = list(self.delivered.values())
        return counts


class Hour(msgspec.Struct, frozen=True, eq=False):
    """One hour to be learned from. Shapes: counts int64[1024]."""

    hour_ms: int
    counts: IntArray
    never: int


class Paces:
    """Counts by channel and hour; the caller adds prompt orders only (`ledger.is_prompt`).

    Kept by channel, and for all of them together, so that nobody has to walk through the hours of
    other channels.
    """

    def __init__(self, rows: Sequence[PaceRow] = ()) -> None:
        self._paces: dict[str, dict[int, _Pace]] = {}
        self._all: dict[int, _Pace] = {}
        self._first_ms: dict[str, int] = {}
        for row in rows:
            self.add_row(row)

    def add(self, channel: str, done_ms: int, delay_ms: int | None) -> None:
        """Count one order done at `done_ms`; None means it was closed without delivery."""
        both = self._pace(done_ms - done_ms % HOUR_MS, channel)
        if delay_ms is None:
            for pace in both:
                pace.add_never(1)
            return
        bucket = bucket_index(delay_ms) if delay_ms > 0 else 0
        for pace in both:
            pace.n += 1
            pace.delivered[bucket] = pace.delivered.get(bucket, 0) + 1

    def add_row(self, row: PaceRow) -> None:
        """Count the orders of a row."""
        for pace in self._pace(row.hour_ms, row.channel):
            pace.add_all(row.delivered, row.never, 1)

    def merge(self, other: Paces) -> None:
        """Add another shard's counts; exact, in any order."""
        for row in other.snapshot():
            self.add_row(row)

    def snapshot(self) -> list[PaceRow]:
        """All rows in a fixed order."""
        keys = [(hour_ms, name) for name, hours in self._paces.items() for hour_ms in hours]
        return [
            PaceRow(hour_ms, name, tuple(sorted(pace.delivered.items())), pace.never)
            for hour_ms, name in sorted(keys)
            for pace in [self._paces[name][hour_ms]]
        ]

    def channels(self) -> tuple[str, ...]:
        """Channels with any hour, sorted."""
        return tuple(sorted(self._paces))

    def first_ms(self) -> int | None:
        """Where the earliest hour begins; None without any."""
        return min(self._first_ms.values(), default=None)

    def count(self, channel: str, from_ms: int, until_ms: int) -> int:
        """Orders of a channel (`ALL_ORDERS`: of all) done in the hours that begin in the span."""
        hours = self._of(channel)
        return sum(pace.n for hour_ms, pace in hours.items() if from_ms <= hour_ms < until_ms)

    def hours(self, channel: str, from_ms: int, until_ms: int) -> list[Hour]:
        """Hours of a channel (`ALL_ORDERS`: of all together) that begin in the span, ascending."""
        hours = self._of(channel)
        chosen = sorted(hour_ms for hour_ms in hours if from_ms <= hour_ms < until_ms)
        return [Hour(hour_ms, hours[hour_ms].counts(), hours[hour_ms].never) for hour_ms in chosen]

    def forget(self, learned_to_ms: Mapping[str, int], now_ms: int) -> None:
        """Drop hours learned three days ago, and those that were never enough to be learned.

        `learned_to_ms` is `to_ms` of each channel's baseline. Channels without such hours cost one
        comparison each: this is said after everything that is learned.
        """
        oldest = now_ms - UNLEARNED_MS
        for channel, first_ms in list(self._first_ms.items()):
            kept_ms = max(oldest, learned_to_ms.get(channel, 0) - KEPT_MS)
            if first_ms < kept_ms:
                self._drop(channel, kept_ms)

    def _drop(self, channel: str, before_ms: int) -> None:
        hours = self._paces[channel]
        for hour_ms in [hour_ms for hour_ms in hours if hour_ms < before_ms]:
            pace, together = hours.pop(hour_ms), self._all[hour_ms]
            together.add_all(pace.delivered.items(), pace.never, -1)
            if not together.n:
                del self._all[hour_ms]
        if hours:
            self._first_ms[channel] = min(hours)
        else:
            del self._paces[channel], self._first_ms[channel]

    def _of(self, channel: str) -> Mapping[int, _Pace]:
        return self._all if channel == ALL_ORDERS else self._paces.get(channel, {})

    def _pace(self, hour_ms: int, channel: str) -> tuple[_Pace, _Pace]:
        """An hour of a channel, and of all."""
        try:
            return self._paces[channel][hour_ms], self._all[hour_ms]
        except KeyError:
            pace = self._paces.setdefault(channel, {}).setdefault(hour_ms, _Pace({}))
            self._first_ms[channel] = min(hour_ms, self._first_ms.get(channel, hour_ms))
            return pace, self._all.setdefault(hour_ms, _Pace({}))
