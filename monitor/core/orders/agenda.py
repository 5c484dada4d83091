"""When to look at which order again: a heap with one valid entry per order."""

from __future__ import annotations

import heapq


class Agenda:
    """Deadlines by order id; rescheduling leaves a stale heap entry that is skipped later."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, str]] = []
        self._due: dict[str, int] = {}

    def schedule(self, order_id: str, at_ms: int | None) -> None:
        """Look at an order at a time, instead of any earlier plan; None cancels."""
        if at_ms is None:
            self._due.pop(order_id, None)
        elif self._due.get(order_id) != at_ms:
            self._due[order_id] = at_ms
            heapq.heappush(self._heap, (at_ms, order_id))

    def take_due(self, now_ms: int) -> list[str]:
        """Remove and return the ids due by now, in (time, id) order."""
        taken = []
        while self._heap and self._heap[0][0] <= now_ms:
            at_ms, order_id = heapq.heappop(self._heap)
            if self._due.get(order_id) == at_ms:
                del self._due[order_id]
                taken.append(order_id)
        return taken

    def next_ms(self) -> int | None:
        """The next valid deadline."""
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None
