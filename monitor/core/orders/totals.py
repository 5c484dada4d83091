"""Counters that only grow and survive a restart: they are part of the state, not of the process."""

from __future__ import annotations

from bisect import bisect_left

import msgspec
import numpy as np

from monitor.core.signals.arrays import IntArray, read_only
from monitor.core.signals.histogram import BUCKETS, LogHistogram, bucket_index

# Every SLA boundary (60, 180, 300, 1800 s) is an edge, so "share over 3 min" is exact.
EDGES_MS = (
    500, 1_000, 2_000, 3_000, 5_000, 8_000, 12_000, 20_000, 30_000, 45_000, 60_000, 90_000,
    120_000, 180_000, 240_000, 300_000, 600_000, 900_000, 1_800_000, 3_600_000,
)  # fmt: skip
SERIES_MAX = 5_000  # distinct label sets per counter; beyond it counts go to one overflow series


class DelayTotals(msgspec.Struct, gc=False):
    """All delays of one channel, counted once for three readers.

    `counts` are exact per interval of `EDGES_MS` (the last one open-ended), for classic Prometheus
    buckets; `buckets` the same deliveries by log bucket, up to the last one used, for OTLP and
    percentiles; and their sum.
    """

    counts: list[int]
    sum_ms: int = 0
    buckets: list[int] = []

    def __post_init__(self) -> None:
        """Put deliveries that a release without log buckets counted at the end of their interval.

        Otherwise the wires would disagree about the number of orders for as long as the state lives.
        """
        if self.buckets or not any(self.counts):
            return
        for edge_ms, count in zip((*EDGES_MS, EDGES_MS[-1] + 1), self.counts, strict=True):
            if count:
                self._count(bucket_index(edge_ms), count)

    def add(self, delay_ms: int) -> None:
        """Count one delivery; an edge belongs to the interval below it (`le`)."""
        self.counts[bisect_left(EDGES_MS, delay_ms)] += 1
        self._count(bucket_index(delay_ms), 1)
        self.sum_ms += delay_ms

    def histogram(self) -> LogHistogram:
        """The log buckets as an array, int64[1024]; from it come percentiles and the OTLP point."""
        counts: IntArray = np.zeros(BUCKETS, dtype=np.int64)
        counts[: len(self.buckets)] = self.buckets
        return LogHistogram(read_only(counts), self.sum_ms)

    def _count(self, bucket: int, count: int) -> None:
        missing = bucket + 1 - len(self.buckets)
        if missing > 0:
            self.buckets.extend([0] * missing)
        self.buckets[bucket] += count


class Totals(msgspec.Struct, gc=False):
    """All counters. Keys are label values joined by a tab, in the order of the metric's labels."""

    events: dict[str, int] = {}
    orders: dict[str, int] = {}
    delays: dict[str, DelayTotals] = {}
    takeovers: dict[str, int] = {}
    notifications: dict[str, int] = {}
    double_deliveries: int = 0
    invariant_violations: int = 0  # rules that the last self-audit found broken
    overflow: dict[str, int] = {}
    faults: dict[str, int] = {}

    def count_event(self, source: str, kind: str, outcome: str) -> None:
        """delivery_events_total."""
        key = f"{source}\t{kind}\t{outcome}"
        known = self.events.get(key)
        if known is None:
            self._add(self.events, source, kind, outcome)
        else:  # nearly always, and once per event
            self.events[key] = known + 1

    def count_fault(self, kind: str) -> None:
        """delivery_shop_faults_total: what shops did wrong with orders of their own."""
        self._add(self.faults, kind)

    def count_order(self, channel: str, verdict: str) -> None:
        """delivery_orders_total: once when its promise breaks, once when its wait ends."""
        self._add(self.orders, channel, verdict)

    def count_overflow(self, label: str) -> None:
        """Count what was put under `other` because a label had too many values."""
        self.overflow[label] = self.overflow.get(label, 0) + 1

    def count_takeover(self, channel: str, outcome: str) -> None:
        """delivery_takeovers_total."""
        self._add(self.takeovers, channel, outcome)

    def count_notification(self, receiver: str, outcome: str) -> None:
        """delivery_notifications_total."""
        self._add(self.notifications, receiver, outcome)

    def count_delay(self, channel: str, delay_ms: int) -> None:
        """delivery_delay_seconds."""
        delays = self.delays.get(channel)
        if delays is None:
            delays = self.delays[channel] = DelayTotals([0] * (len(EDGES_MS) + 1))
        delays.add(delay_ms)

    def _add(self, counter: dict[str, int], *labels: str) -> None:
        key = "\t".join(labels)
        known = counter.get(key)
        if known is not None:
            counter[key] = known + 1
            return
        if len(counter) >= SERIES_MAX:
            self.count_overflow("series")
            key = "\t".join("other" for _ in labels)
        counter[key] = counter.get(key, 0) + 1
