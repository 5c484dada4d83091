"""When to look at which order again: a heap with one valid entry per order."""

from __future__ import annotations

import heapq

STALE_MAX = 64  # this many stale entries are not worth a rebuild


class Agenda:
    """Deadlines by order id; rescheduling leaves a stale heap entry that is skipped later.

    Stale entries never outnumber the valid ones by much: a plan that moves with every event would
    otherwise leave one behind each time, until the earliest of them is due.
    """

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
        if len(self._heap) > 2 * len(self._due) + STALE_MAX:
            self._heap = [(due_ms, due_id) for due_id, due_ms in self._due.items()]
            heapq.heapify(self._heap)

    def __len__(self) -> int:
        """Entries held in memory, stale ones included."""
        return len(self._heap)

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
