"""Hourly delivery history per channel and sku: what "normal" was, for ETA, quotes and the breaker.

Rows of the last days stay in memory and every changed row goes to the store, where it is kept as
long as orders are. The latest hour is left out when a baseline is asked for, so an outage does not
teach the breaker that slow is normal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np

from monitor.core.signals.histogram import BUCKETS, LogHistogram, bucket_index
from monitor.model.times import DAY_MS, HOUR_MS

MEMORY_MS = 7 * DAY_MS
LEARNED_ORDERS_MIN = 50
SKUS_MAX = 200  # per hour and channel; the rest is counted under ""


class Hour(msgspec.Struct, gc=False):
    """One channel and sku in one hour: sparse counts by histogram bucket, and never delivered."""

    hour_ms: int
    channel: str
    sku: str
    delivered: dict[int, int]
    never: int = 0


class HourRow(msgspec.Struct, frozen=True):
    """An hour in a snapshot: counts as sorted (bucket, count) pairs, so equal hours are equal bytes."""

    hour_ms: int
    channel: str
    sku: str
    delivered: tuple[tuple[int, int], ...]
    never: int


class History:
    """Hours by (hour, channel, sku); `dirty` are the keys changed since the last drain."""

    def __init__(self, rows: Sequence[HourRow] = ()) -> None:
        self._hours = {
            (row.hour_ms, row.channel, row.sku): Hour(
                row.hour_ms, row.channel, row.sku, dict(row.delivered), row.never
            )
            for row in rows
        }
        self._skus = Counter((row.hour_ms, row.channel) for row in rows)
        self._dirty: dict[tuple[int, str, str], None] = {}
        self._p95: dict[str, tuple[int, int | None]] = {}
        self._all_skus: dict[str, dict[int, dict[int, int]]] = {}  # by channel, hour, bucket
        self._all_hours: dict[str, list[int]] = {}  # by channel and bucket
        for row in rows:
            for bucket, count in row.delivered:
                self._count(row.channel, row.hour_ms, bucket, count)

    def add(
        self, at_ms: int, channel: str, sku: str | None, delay_ms: int | None, *, received_ms: int
    ) -> None:
        """Count one finished order; `delay_ms` None means it was closed without delivery.

        News of an hour that memory may have forgotten are left out: a stored row is replaced by
        the row in memory, so half an hour would overwrite a whole one.
        """
        hour_ms = at_ms - at_ms % HOUR_MS
        if hour_ms < received_ms - MEMORY_MS:
            return
        hour = self._hour(hour_ms, channel, sku or "")
        if delay_ms is None:
            hour.never += 1
        else:
            bucket = bucket_index(max(delay_ms, 0))
            hour.delivered[bucket] = hour.delivered.get(bucket, 0) + 1
            self._count(channel, hour_ms, bucket, 1)

    def p95_ms(self, channel: str, now_ms: int) -> int | None:
        """The channel's learned 95th percentile; None until enough orders before this hour."""
        this_hour = now_ms - now_ms % HOUR_MS
        cached = self._p95.get(channel)
        if cached is None or cached[0] != this_hour:
            cached = (this_hour, self._learn_p95(channel, this_hour - HOUR_MS))
            self._p95[channel] = cached
        return cached[1]

    def drain(self) -> list[Hour]:
        """Rows changed since the last call, to be stored."""
        rows = [self._hours[key] for key in self._dirty if key in self._hours]
        self._dirty.clear()
        return rows

    def forget_before(self, now_ms: int) -> None:
        """Drop hours older than the memory; the store still has them."""
        oldest = now_ms - MEMORY_MS
        for key in [key for key in self._hours if key[0] < oldest and key not in self._dirty]:
            hour = self._hours.pop(key)
            for bucket, count in hour.delivered.items():
                self._count(hour.channel, hour.hour_ms, bucket, -count)
            self._skus[key[:2]] -= 1
            if not self._skus[key[:2]]:
                del self._skus[key[:2]]
                self._all_skus.get(hour.channel, {}).pop(hour.hour_ms, None)

    def hours(self) -> list[Hour]:
        """All hours in memory; not to be changed by the caller."""
        return list(self._hours.values())

    def snapshot(self) -> list[HourRow]:
        """All hours in memory, in a fixed order."""
        return [
            HourRow(*key, tuple(sorted(self._hours[key].delivered.items())), self._hours[key].never)
            for key in sorted(self._hours)
        ]

    def _hour(self, hour_ms: int, channel: str, sku: str) -> Hour:
        key = (hour_ms, channel, sku)
        hour = self._hours.get(key)
        if hour is None:
            if sku and self._skus[key[:2]] >= SKUS_MAX:
                return self._hour(hour_ms, channel, "")
            self._skus[key[:2]] += 1
            hour = self._hours[key] = Hour(hour_ms, channel, sku, {})
        self._dirty[key] = None
        return hour

    def _count(self, channel: str, hour_ms: int, bucket: int, count: int) -> None:
        try:  # a channel and hour that were seen before, which is nearly always
            counts, together = self._all_skus[channel][hour_ms], self._all_hours[channel]
        except KeyError:
            counts = self._all_skus.setdefault(channel, {}).setdefault(hour_ms, {})
            together = self._all_hours.setdefault(channel, [0] * BUCKETS)
        counts[bucket] = counts.get(bucket, 0) + count
        together[bucket] += count

    def _learn_p95(self, channel: str, before_ms: int) -> int | None:
        total = list(self._all_hours.get(channel, ()))
        # Of a week only an hour or two are left out: to add up all others would take far longer.
        for hour_ms, delivered in self._all_skus.get(channel, {}).items():
            if hour_ms >= before_ms:
                for bucket, count in delivered.items():
                    total[bucket] -= count
        if sum(total) < LEARNED_ORDERS_MIN:
            return None
        p95_s = LogHistogram(counts=np.array(total, np.int64), sum_ms=0).quantile(0.95)
        return None if p95_s is None else round(p95_s * 1000)
