"""When to look at which order again: a heap of what is near, and spans of time for the rest.

Most plans are cancelled or put off long before they come up. So only those of the span that has
begun are in order; those of later spans are names in a dictionary per span. The collector of
cycles need not walk through dictionaries of names, and it would through a heap of them all.
"""

from __future__ import annotations

import heapq

SPAN_BITS = 14  # a span has 2^14 ms, 16 s
FEW = 32  # of so many the first is looked for


class Agenda:
    """Deadlines by order id.

    An entry of the heap may be too early, or that of a plan that was dropped; never too late.
    """

    def __init__(self) -> None:
        self._due: dict[str, int] = {}
        self._near: list[tuple[int, str]] = []  # a heap; of the spans up to `_begun`
        self._later: dict[int, dict[str, None]] = {}  # ids by span
        self._spans: list[int] = []  # a heap; the keys of `_later`
        self._begun = -1

    def schedule(self, order_id: str, at_ms: int | None) -> None:
        """Look at an order at a time, instead of any earlier plan; None cancels."""
        planned_ms = self._due.get(order_id)
        if planned_ms == at_ms:
            return
        was_near = planned_ms is not None
        if planned_ms is not None and planned_ms >> SPAN_BITS > self._begun:
            del self._later[planned_ms >> SPAN_BITS][order_id]
            was_near = False
        if at_ms is None:
            del self._due[order_id]
            return
        self._due[order_id] = at_ms
        span = at_ms >> SPAN_BITS
        if span > self._begun:
            ids = self._later.get(span)
            if ids is None:
                ids = self._later[span] = {}
                heapq.heappush(self._spans, span)
            ids[order_id] = None
        elif planned_ms is None or not was_near or at_ms < planned_ms:
            heapq.heappush(self._near, (at_ms, order_id))

    def __len__(self) -> int:
        """Entries held in memory, stale ones included."""
        return len(self._near) + sum(map(len, self._later.values()))

    def take_due(self, now_ms: int) -> list[str]:
        """Remove and return the ids due by now, in (time, id) order."""
        self._begin(now_ms >> SPAN_BITS)
        taken: list[str] = []
        while self._near and self._near[0][0] <= now_ms:
            if self._is_first_due():
                order_id = heapq.heappop(self._near)[1]
                del self._due[order_id]
                taken.append(order_id)
        return taken

    def next_ms(self) -> int | None:
        """The next valid deadline; of many in a span that has not begun, when the span begins."""
        while self._near:
            if self._is_first_due():
                return self._near[0][0]
        while self._spans and not self._later[self._spans[0]]:
            del self._later[heapq.heappop(self._spans)]
        if not self._spans:
            return None
        ids = self._later[self._spans[0]]
        if len(ids) > FEW:
            return self._spans[0] << SPAN_BITS
        return min(self._due[order_id] for order_id in ids)

    def _begin(self, span: int) -> None:
        """Bring the plans of all spans up to this one into order."""
        self._begun = max(self._begun, span)
        while self._spans and self._spans[0] <= span:
            ids = self._later.pop(heapq.heappop(self._spans))
            self._near += [(self._due[order_id], order_id) for order_id in ids]
            heapq.heapify(self._near)

    def _is_first_due(self) -> bool:
        """Whether the first of the heap is what was planned last; else it is put where it belongs."""
        at_ms, order_id = self._near[0]
        due_ms = self._due.get(order_id)
        if due_ms == at_ms:
            return True
        if due_ms is None or due_ms < at_ms or due_ms >> SPAN_BITS > self._begun:
            heapq.heappop(self._near)  # cancelled, or planned anew by another entry
        else:
            heapq.heapreplace(self._near, (due_ms, order_id))
        return False
