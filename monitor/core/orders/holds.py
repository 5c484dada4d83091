"""Until when nothing may start for an order, because nobody knows what became of it.

    backlog    first seen overdue: an import that also brings the delivery must do nothing
    silence    its source is silent, or unusually quiet just when something is due
    return     its source is back; what was paid before may have been delivered unseen

More than one may hold at once: nothing starts before the last of them ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from monitor.core.orders.order import Order
from monitor.core.orders.sources import Source
from monitor.model.takeovers import CLOCK_PLAY_MS


class Held(NamedTuple):
    """Until when nothing may start, and until when its source may not have told all.

    None: until the source speaks again; 0: not at all.
    """

    until_ms: int | None
    unheard_ms: int | None


_NOT_HELD = Held(0, 0)


class Holds:
    """Holds of one shard's orders; `unheard` are those that wait for the next word of a source."""

    def __init__(self, sources: Callable[[], Mapping[str, Source]]) -> None:
        self._sources = sources
        self.unheard: dict[str, dict[str, None]] = {}

    def until_ms(self, order: Order, now_ms: int, hold_ms: int) -> Held:
        """How long an order is held; `hold_ms`: for how long after a return."""
        unheard_ms = self._unheard_until_ms(order, now_ms, hold_ms)
        if unheard_ms == 0 == order.hold_until_ms:
            return _NOT_HELD  # nearly always
        until_ms = None if unheard_ms is None else max(order.hold_until_ms, unheard_ms)
        if until_ms is not None and until_ms > now_ms + hold_ms + CLOCK_PLAY_MS:
            # A hold begins with what is seen: one that ends later was set by a clock that was ahead.
            until_ms = now_ms
        return Held(until_ms, unheard_ms)

    def _unheard_until_ms(self, order: Order, now_ms: int, hold_ms: int) -> int | None:
        facts = order.facts
        source, paid_ms = self._sources().get(facts.source), facts.paid_ms
        if source is None or paid_ms is None:
            return 0
        is_overdue = now_ms > paid_ms + facts.promise_ms
        if source.is_silent or (is_overdue and source.is_unusually_quiet(now_ms)):
            self.unheard.setdefault(source.name, {})[order.order_id] = None
            return None
        # Whatever was paid before the return may have become slow, late or stuck unseen.
        if source.returned_ms and paid_ms <= source.returned_ms:
            return source.returned_ms + hold_ms
        return 0

    def release(self, source: str) -> list[str]:
        """Give the orders that waited for a source which has just spoken."""
        return list(self.unheard.pop(source, ()))
