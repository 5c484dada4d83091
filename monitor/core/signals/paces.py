"""How long prompt orders took, per channel and hour: what baselines are learned from.

Counts by histogram bucket, so that shards add up exactly. An hour is kept for three days after it
was learned, for the case that the baseline has to be learned anew from a change on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    delivered: dict[int, int]
    never: int = 0


class Hour(msgspec.Struct, frozen=True, eq=False):
    """One hour to be learned from. Shapes: counts int64[1024]."""

    hour_ms: int
    counts: IntArray
    never: int


class Paces:
    """Counts by (hour, channel); the caller adds prompt orders only (`ledger.is_prompt`)."""

    def __init__(self, rows: Sequence[PaceRow] = ()) -> None:
        self._paces: dict[tuple[int, str], _Pace] = {}
        for row in rows:
            self.add_row(row)

    def add(self, channel: str, done_ms: int, delay_ms: int | None) -> None:
        """Count one order done at `done_ms`; None means it was closed without delivery."""
        pace = self._pace(done_ms - done_ms % HOUR_MS, channel)
        if delay_ms is None:
            pace.never += 1
        else:
            bucket = bucket_index(max(delay_ms, 0))
            pace.delivered[bucket] = pace.delivered.get(bucket, 0) + 1

    def add_row(self, row: PaceRow) -> None:
        """Count the orders of a row."""
        pace = self._pace(row.hour_ms, row.channel)
        pace.never += row.never
        for bucket, count in row.delivered:
            pace.delivered[bucket] = pace.delivered.get(bucket, 0) + count

    def merge(self, other: Paces) -> None:
        """Add another shard's counts; exact, in any order."""
        for row in other.snapshot():
            self.add_row(row)

    def snapshot(self) -> list[PaceRow]:
        """All rows in a fixed order."""
        return [
            PaceRow(*key, tuple(sorted(self._paces[key].delivered.items())), self._paces[key].never)
            for key in sorted(self._paces)
        ]

    def channels(self) -> tuple[str, ...]:
        """Channels with any hour, sorted."""
        return tuple(sorted({channel for _, channel in self._paces}))

    def first_ms(self) -> int | None:
        """Where the earliest hour begins; None without any."""
        return min((hour_ms for hour_ms, _ in self._paces), default=None)

    def count(self, channel: str, from_ms: int, until_ms: int) -> int:
        """Orders of a channel (`ALL_ORDERS`: of all) done in the hours that begin in the span."""
        return sum(
            pace.never + sum(pace.delivered.values())
            for (hour_ms, name), pace in self._paces.items()
            if from_ms <= hour_ms < until_ms and channel in (name, ALL_ORDERS)
        )

    def hours(self, channel: str, from_ms: int, until_ms: int) -> list[Hour]:
        """Hours of a channel (`ALL_ORDERS`: of all together) that begin in the span, ascending."""
        found: dict[int, tuple[IntArray, list[int]]] = {}
        for (hour_ms, name), pace in self._paces.items():
            if not from_ms <= hour_ms < until_ms or channel not in (name, ALL_ORDERS):
                continue
            counts, never = found.setdefault(hour_ms, (np.zeros(BUCKETS, np.int64), [0]))
            for bucket, count in pace.delivered.items():
                counts[bucket] += count
            never[0] += pace.never
        return [
            Hour(hour_ms, counts, never[0]) for hour_ms, (counts, never) in sorted(found.items())
        ]

    def forget(self, learned_to_ms: Mapping[str, int], now_ms: int) -> None:
        """Drop hours learned three days ago, and those that were never enough to be learned.

        `learned_to_ms` is `to_ms` of each channel's baseline.
        """
        oldest = now_ms - UNLEARNED_MS
        for hour_ms, channel in list(self._paces):
            if hour_ms < max(oldest, learned_to_ms.get(channel, 0) - KEPT_MS):
                del self._paces[hour_ms, channel]

    def _pace(self, hour_ms: int, channel: str) -> _Pace:
        return self._paces.setdefault((hour_ms, channel), _Pace({}))
