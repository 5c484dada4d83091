"""When to look at which order again: a heap with one valid entry per order."""

from __future__ import annotations

import heapq

STALE_MAX = 64  # this many stale entries are not worth a rebuild


class Agenda:
    """Deadlines by order id; the heap may know an order's deadline too early, never too late.

    Most plans are put off by the next event, so a later plan only replaces the number: the entry is
    put where it belongs when it comes up. Stale entries never outnumber the valid ones by much.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[int, str]] = []
        self._due: dict[str, int] = {}

    def schedule(self, order_id: str, at_ms: int | None) -> None:
        """Look at an order at a time, instead of any earlier plan; None cancels."""
        if at_ms is None:
            if self._due.pop(order_id, None) is None:
                return
        else:
            planned_ms = self._due.get(order_id)
            self._due[order_id] = at_ms
            if planned_ms is not None and planned_ms <= at_ms:
                return
            heapq.heappush(self._heap, (at_ms, order_id))
        if len(self._heap) > 2 * len(self._due) + STALE_MAX:
            self._heap = [(due_ms, due_id) for due_id, due_ms in self._due.items()]
            heapq.heapify(self._heap)

    def __len__(self) -> int:
        """Entries held in memory, stale ones included."""
        return len(self._heap)

    def take_due(self, now_ms: int) -> list[str]:
        """Remove and return the ids due by now, in (time, id) order."""
        taken: list[str] = []
        if not self._heap or self._heap[0][0] > now_ms:
            return taken  # nearly always
        while self._heap and self._heap[0][0] <= now_ms and self._settle_first():
            at_ms, order_id = self._heap[0]
            if at_ms > now_ms:
                break
            heapq.heappop(self._heap)
            del self._due[order_id]
            taken.append(order_id)
        return taken

    def next_ms(self) -> int | None:
        """The next valid deadline."""
        if self._heap and self._due.get(self._heap[0][1]) == self._heap[0][0]:
            return self._heap[0][0]  # nearly always
        return self._heap[0][0] if self._settle_first() else None

    def _settle_first(self) -> bool:
        """Bring a valid entry to the top of the heap; False if there is none."""
        while self._heap:
            at_ms, order_id = self._heap[0]
            due_ms = self._due.get(order_id)
            if due_ms == at_ms:
                return True
            if due_ms is None or due_ms < at_ms:  # cancelled, or planned sooner by another entry
                heapq.heappop(self._heap)
            else:
                heapq.heapreplace(self._heap, (due_ms, order_id))
        return False
