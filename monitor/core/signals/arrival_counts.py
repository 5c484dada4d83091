"""How many new orders each source brought in every five minutes of the last 26 hours.

What a shard keeps: whole numbers, so that the counts of any number of shards add up to the counts
of one. A ring of bins per source; an order that is older than the ring is not counted.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from monitor.core.signals.arrays import IntArray
from monitor.model.ids import CANARY_SOURCE
from monitor.model.times import HOUR_MS, MINUTE_MS

BIN_MS = 5 * MINUTE_MS
BINS = 26 * HOUR_MS // BIN_MS

_ROWS_FIRST = 8


class CountsOfSource(msgspec.Struct, frozen=True):
    """The bins of one source: the first bin's number (time ÷ 5 min), counts from there on."""

    source: str
    last_ms: int
    first_bin: int
    counts: tuple[int, ...]


class CountsSnapshot(msgspec.Struct, frozen=True):
    """An `ArrivalCounter` at rest, sources by name."""

    head_bin: int = 0
    sources: tuple[CountsOfSource, ...] = ()


class ArrivalCounter:
    """Counts first sightings of orders per source; the caller bounds how many sources there are."""

    __slots__ = ("_counts", "_head", "_last", "_rows")

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._counts = np.zeros((_ROWS_FIRST, BINS), np.int64)
        self._last: list[int] = []
        self._head = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The sources seen so far, sorted."""
        return tuple(sorted(self._rows))

    @property
    def head_bin(self) -> int:
        """Number of the newest bin that was reached (time ÷ 5 min)."""
        return self._head

    def add(self, source: str, at_ms: int, n: int = 1) -> None:
        """Count an order when it is first seen (created, else paid), at the shop's time.

        The caller has bounded `at_ms` by its own clock. Canary orders are left out.
        """
        if source == CANARY_SOURCE:  # our own orders say nothing about customers
            return
        row = self._row_of(source)
        at_bin = at_ms // BIN_MS
        self.advance(at_bin)
        self._last[row] = max(self._last[row], at_ms)
        if at_bin > self._head - BINS:
            self._counts[row, at_bin % BINS] += n

    def advance(self, to_bin: int) -> None:
        """Make room up to a bin: what is 26 h older is forgotten."""
        ahead = to_bin - self._head
        if ahead >= BINS:
            self._counts[:] = 0
        elif ahead > 0:
            self._counts[:, np.arange(self._head + 1, to_bin + 1) % BINS] = 0
        self._head = max(self._head, to_bin)

    def last_ms(self, source: str) -> int:
        """When the source's latest order came; 0 if there was none."""
        row = self._rows.get(source)
        return 0 if row is None else self._last[row]

    def matrix(self, sources: Sequence[str], until_bin: int) -> IntArray:
        """Counts of these sources in the 26 h that end with a bin; unknown ones are zero.

        Shapes: int64[len(sources), 312], oldest first.
        """
        bins = np.arange(until_bin - BINS + 1, until_bin + 1)
        rows = [self._rows.get(source, -1) for source in sources]
        counts = self._counts[np.array(rows, np.int64)][:, bins % BINS]
        counts[[row < 0 for row in rows]] = 0
        counts[:, (bins > self._head) | (bins <= self._head - BINS)] = 0
        return counts

    def merge(self, other: ArrivalCounter) -> None:
        """Add another shard's counts to these."""
        self.advance(other._head)
        bins = np.arange(self._head - BINS + 1, self._head + 1)
        for source in other.names:
            row = self._row_of(source)
            self._last[row] = max(self._last[row], other.last_ms(source))
            self._counts[row, bins % BINS] += other.matrix((source,), self._head)[0]

    def snapshot(self) -> CountsSnapshot:
        """Everything counted, in an order that does not depend on arrival."""
        names = self.names
        matrix = self.matrix(names, self._head)
        first = self._head - BINS + 1
        sources = []
        for name, counts in zip(names, matrix, strict=True):
            seen = np.flatnonzero(counts)
            start, stop = (int(seen[0]), int(seen[-1]) + 1) if seen.size else (0, 0)
            held = tuple(int(count) for count in counts[start:stop])
            sources.append(CountsOfSource(name, self.last_ms(name), first + start, held))
        return CountsSnapshot(self._head, tuple(sources))

    @classmethod
    def restore(cls, snapshot: CountsSnapshot) -> ArrivalCounter:
        """The counter that a snapshot was taken of."""
        counter = cls()
        counter._head = snapshot.head_bin
        for held in snapshot.sources:
            row = counter._row_of(held.source)
            counter._last[row] = held.last_ms
            bins = np.arange(held.first_bin, held.first_bin + len(held.counts))
            counter._counts[row, bins % BINS] = held.counts
        return counter

    def _row_of(self, source: str) -> int:
        row = self._rows.get(source)
        if row is not None:
            return row
        row = len(self._rows)
        if row == self._counts.shape[0]:
            self._counts = np.concatenate((self._counts, np.zeros_like(self._counts)))
        self._rows[source] = row
        self._last.append(0)
        return row
