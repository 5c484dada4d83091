"""How many events a source may send, where the configuration says so.

Each source has a bucket that fills with its rate. A request is let in while the bucket is not in
debt and may drive it there, however many events it brings: so what is too much is refused before a
body is read, and no batch is too large to ever come in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from monitor.model.errors import QuotaError
from monitor.model.times import SECOND_MS

BURST_S = 10  # a full bucket holds the events of so many seconds


class Quotas:
    """The buckets of one service; `per_s` is replaced by a reload."""

    def __init__(self, per_s: Mapping[str, int]) -> None:
        self.per_s = per_s
        self._buckets: dict[str, tuple[float, int]] = {}  # what is in it, and when

    def check(self, source: str | None, now_ms: int) -> None:
        """Let a request of a source in, or not. Raises: QuotaError that says when to come again."""
        rate = self.per_s.get(source) if source is not None else None
        if rate is None or source is None:
            return
        left = self._fill(source, rate, now_ms)
        if left < 0:
            message = f"source {source} sends more than {rate} events a second"
            raise QuotaError(message, retry_after_s=math.ceil(-left / rate))

    def spend(self, source: str | None, events: int, now_ms: int) -> None:
        """Take the events of a request that was let in out of the bucket."""
        rate = self.per_s.get(source) if source is not None else None
        if rate is not None and source is not None:
            self._buckets[source] = (self._fill(source, rate, now_ms) - events, now_ms)

    def _fill(self, source: str, rate: int, now_ms: int) -> float:
        full = float(rate * BURST_S)
        left, at_ms = self._buckets.get(source, (full, now_ms))
        # A wall clock may jump: backwards fills nothing, forwards no more than the bucket holds.
        return min(full, left + rate * max(0, now_ms - at_ms) / SECOND_MS)
