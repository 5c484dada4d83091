"""What a clock that was ahead has left behind in orders and sources, and how it is put right.

    ahead ──► times of ours lie in the future ──► `ClockSetBack` in the log ──► they are moved back

Only what our own clock said is moved, and only what lies later than the moment at which the clock
was right again: nobody can have seen that yet. What a shop told, future-dated or not, stands. How
far the clock was ahead is known from below (we may have been away), so what is moved back is never
earlier than it truly was.
"""

from __future__ import annotations

import msgspec

from monitor.core.orders.facts import canonical_key
from monitor.core.orders.order import Order
from monitor.core.orders.sources import Source
from monitor.model.events import OrderEvent
from monitor.model.playbooks import Action
from monitor.model.records import ClockSetBack
from monitor.model.takeovers import CLOCK_PLAY_MS
from monitor.model.times import HOUR_MS


def moved_back(at_ms: int, back: ClockSetBack) -> int:
    """A time of ours: that of the wrong clock moved back, any other as it is."""
    return at_ms if at_ms <= back.at_ms + CLOCK_PLAY_MS else min(at_ms - back.by_ms, back.at_ms)


def put_right(order: Order, back: ClockSetBack) -> tuple[OrderEvent, ...] | None:
    """Move back what is ours in an order; returns its events if facts have to be derived anew."""
    order.hold_until_ms = moved_back(order.hold_until_ms, back)
    order.actions = tuple(_earlier(one, back) for one in order.actions)
    handed_over_ms, timeline = order.handed_over_ms, order.timeline
    if handed_over_ms is not None:
        order.handed_over_ms = moved_back(handed_over_ms, back)
    paid_ms = order.facts.paid_ms
    if order.breach_ms is not None and paid_ms is not None and _is_ours(paid_ms, timeline):
        order.breach_ms -= paid_ms - moved_back(paid_ms, back)
    events = tuple(_truer(event, back) for event in timeline)
    is_same = events == timeline and order.handed_over_ms == handed_over_ms
    return None if is_same else tuple(sorted(events, key=canonical_key))


def put_source_right(source: Source, back: ClockSetBack) -> None:
    """Have a source heard at latest now, or its silence would not be noticed before that hour."""
    source.last_ms = min(source.last_ms, back.at_ms)
    source.first_ms = min(source.first_ms, source.last_ms)
    source.order_ms = min(source.order_ms, back.at_ms)
    source.returned_ms = min(source.returned_ms, back.at_ms)
    source.silent_from_ms = min(source.silent_from_ms, back.at_ms)
    source.hour = min(source.hour, back.at_ms // HOUR_MS)


def _is_ours(at_ms: int, timeline: tuple[OrderEvent, ...]) -> bool:
    return any(event.is_inferred and event.time_ms == at_ms for event in timeline)


def _truer(event: OrderEvent, back: ClockSetBack) -> OrderEvent:
    if not event.is_inferred or event.time_ms <= back.at_ms + CLOCK_PLAY_MS:
        return event
    return msgspec.structs.replace(event, time_ms=moved_back(event.time_ms, back))


def _earlier(action: Action, back: ClockSetBack) -> Action:
    """What an action waits for keeps its distance."""
    is_ahead = action.changed_ms > back.at_ms + CLOCK_PLAY_MS
    if not is_ahead or action.is_final or action.due_ms is None:
        return action
    due_ms = max(back.at_ms, action.due_ms - back.by_ms)
    return msgspec.structs.replace(action, due_ms=due_ms)
