"""How long durable writes take: a ring of the last durations, their count and their sum."""

from __future__ import annotations

import math

RING_LEN = 1_024


class Durations:
    """Seconds of the last 1,024 writes; one thread records, any thread reads without a lock.

    A list of fixed length instead of a deque: copying it while another thread assigns one slot
    is safe under the interpreter's lock, iterating a growing deque is not.
    """

    def __init__(self) -> None:
        self._ring = [0.0] * RING_LEN
        self._ordered: tuple[int, list[float]] = (0, [])  # at which count, and what was in the ring
        self.count = 0
        self.sum_s = 0.0

    def record(self, duration_s: float) -> None:
        """Add one duration in seconds; beyond 1,024 the oldest leaves the ring."""
        self._ring[self.count % RING_LEN] = duration_s
        self.count += 1
        self.sum_s += duration_s

    def recent(self) -> list[float]:
        """The last durations in seconds, oldest first, at most 1,024."""
        count = self.count
        ring = self._ring[:]
        if count <= RING_LEN:
            return ring[:count]
        start = count % RING_LEN
        return ring[start:] + ring[:start]

    def quantile(self, share: float) -> float | None:
        """Nearest-rank quantile of the recent durations in seconds; None when there are none."""
        count, ordered = self._ordered
        if count != self.count:  # asked more often than there is something new
            count = self.count
            ordered = sorted(self.recent())
            self._ordered = (count, ordered)
        if not ordered:
            return None
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
