"""When a changed order is stored: some seconds after its first change, a few with each commit.

Most orders change several times within seconds and then for long not at all; each row that is not
written spares the disk more than the order's events cost it. A row may come late, for as long as
its order is in memory a restart has it from the snapshot and the log.
"""

from __future__ import annotations

from collections import deque

from monitor.model.times import SECOND_MS

LOOK_EVERY_MS = SECOND_MS
SAVE_AFTER = 5  # looks later
ROWS_PER_COMMIT = 128  # who waits for an append waits behind no more than these


class Saving:
    """Counts changed orders, which leave in the order of their first change."""

    def __init__(self) -> None:
        self.ripe = 0  # how many are to be stored now
        self._looked_ms = 0
        self._changed: deque[int] = deque()  # so far, at each of the latest looks
        self._stored = 0

    def begin(self, now_ms: int) -> None:
        """Start to look."""
        self._looked_ms = now_ms

    def look(self, changed: int, now_ms: int) -> bool:
        """Note how many orders are changed and not stored; whether a look was due."""
        if now_ms - self._looked_ms < LOOK_EVERY_MS:
            return False
        self._looked_ms = now_ms
        self._changed.append(self._stored + changed)
        if len(self._changed) > SAVE_AFTER:
            self.ripe = max(0, self._changed.popleft() - self._stored)
        return True

    def stored(self, orders: int, *, left: int) -> None:
        """Note how many were stored, and how many changed ones are left."""
        self._stored += orders
        self.ripe = min(max(0, self.ripe - orders), left)
