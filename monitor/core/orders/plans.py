"""When to look at which order again, and when it may leave memory.

    an order changed ─► plan ─► take_due       its next deadline, tier, takeover or case
                            └─► take_leaving   nobody has spoken of it for long enough

Each order has at most one moment in either.
"""

from __future__ import annotations

from collections.abc import Iterable

from monitor.core.orders.agenda import Agenda
from monitor.core.orders.order import Clockwork, Order, checks, is_same_to_others
from monitor.model.settings import Settings
from monitor.model.takeovers import TakeoverCase
from monitor.model.times import DAY_MS, MINUTE_MS

RETRY_MS = MINUTE_MS  # a takeover that a limit forbade, or nothing came of, is looked at after this
DORMANT_MS = 30 * DAY_MS  # an order nobody has spoken of for so long leaves memory, not the store


class Plans:
    """Two agendas of one shard's orders."""

    def __init__(self) -> None:
        self._looks = Agenda()
        self._leaves = Agenda()
        self._not_before: dict[str, int] = {}  # a takeover was looked at: not again before this
        self._aged: dict[str, int | None] = {}  # of orders with a case: what their age calls for
        self.made_ms = 0  # the latest time at which a plan was made, or looked for

    def plan(
        self, order: Order, clockwork: Clockwork, now_ms: int, held_until_ms: int | None
    ) -> None:
        """Bring both agendas in line with an order that changed; held as for `checks`."""
        order_id, settings = order.order_id, clockwork.settings
        if now_ms > self.made_ms:  # noqa: PLR1730 - runs for every event, a call is slow
            self.made_ms = now_ms
        due = checks(order, clockwork, now_ms, held_until_ms)
        look_ms = due.next_ms
        if due.is_breached or due.tier > order.tier:
            look_ms = now_ms
        if due.is_stuck and settings.fallback.mode != "observe":
            look_ms = _sooner(look_ms, max(now_ms, self._not_before.get(order_id, 0)))
        if order.case is None:
            self._looks.schedule(order_id, look_ms)
        else:
            self._aged[order_id] = look_ms
            self.wake(order, now_ms)
        leave_ms = self.leave_ms(order, settings)
        if due.next_ms is not None and due.next_ms + MINUTE_MS > leave_ms:
            # What is still to be judged stays: a promise may be longer than the memory.
            leave_ms = due.next_ms + MINUTE_MS
        self._leaves.schedule(order_id, leave_ms)

    def leave_ms(self, order: Order, settings: Settings) -> int:
        """When an order may leave memory if nobody speaks of it any more."""
        is_settled = order.case is None and order.facts.done_ms is not None
        keep_ms = settings.signal_window_ms if is_settled else DORMANT_MS
        return _latest_word_ms(order) + keep_ms

    def wake(self, order: Order, now_ms: int) -> None:
        """Look at an order that has a case when that wants it, or its age calls for it if sooner."""
        case, look_ms = order.case, self._aged.get(order.order_id)
        if case is not None and case.wake_ms is not None:
            wake_ms = now_ms if case.is_due(now_ms) else case.wake_ms
            not_before_ms = self._not_before.get(order.order_id, 0)
            look_ms = _sooner(look_ms, max(wake_ms, not_before_ms))
        self._looks.schedule(order.order_id, look_ms)

    def look(self, order_id: str) -> None:
        """Look at an order as soon as time is judged."""
        self._looks.schedule(order_id, 0)

    def follow_clock(self, orders: Iterable[Order], now_ms: int) -> None:
        """Plans were made by a clock that was ahead: look at once at whatever waits for a time."""
        self.made_ms = now_ms
        self._not_before.clear()
        for order in orders:
            has_wake = order.case is not None and order.case.wake_ms is not None
            if has_wake or order.is_unjudged(now_ms):
                self.look(order.order_id)

    def looked(self, order_id: str, now_ms: int) -> None:
        """A takeover was looked at: not again at once."""
        self._not_before[order_id] = now_ms + RETRY_MS

    def moved(self, order: Order, before: TakeoverCase | None, now_ms: int) -> bool:
        """Its case moved: it may be looked at again; whether nothing else follows from that."""
        self._not_before.pop(order.order_id, None)
        if before is None or order.case is None or not is_same_to_others(before, order.case):
            return False
        self.wake(order, now_ms)
        return True

    def take_due(self, now_ms: int) -> list[str]:
        """Remove and return the ids to look at by now, in (time, id) order."""
        self.made_ms = max(self.made_ms, now_ms)
        return self._looks.take_due(now_ms)

    def take_leaving(self, now_ms: int) -> list[str]:
        """Remove and return the ids that may leave memory by now, in (time, id) order."""
        return self._leaves.take_due(now_ms)

    def stay(self, order_id: str, until_ms: int) -> None:
        """Ask again later whether an order may leave."""
        self._leaves.schedule(order_id, until_ms)

    def forget(self, order_id: str) -> None:
        """An order left memory."""
        self._looks.schedule(order_id, None)
        self._not_before.pop(order_id, None)
        self._aged.pop(order_id, None)

    def next_ms(self) -> int | None:
        """When `take_due` has something next."""
        return self._looks.next_ms()


def _sooner(one_ms: int | None, other_ms: int) -> int:
    return other_ms if one_ms is None else min(one_ms, other_ms)


def _latest_word_ms(order: Order) -> int:
    latest_ms = order.breach_ms or 0
    for event in order.timeline:
        if event.received_ms > latest_ms:  # noqa: PLR1730 - runs for every event, a call is slow
            latest_ms = event.received_ms
    return latest_ms
