"""What a source usually tells, and how soon: only what is usual can be missed.

    steps       an order is attempted, delivered, failed or expired some time after orders came
    expiries    an order nobody pays expires some time after it came
    attempts    a delivery attempt is told before the delivery
    bookings    the shop says by itself that an order is paid of which a gateway said so
    lags        events are told so long after they happened

It is counted event by event in the order of the log, by our clock: what is late is late for us.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

import msgspec

from monitor.core.orders.lags import Lags
from monitor.model.events import EventType, OrderEvent
from monitor.model.times import DAY_MS, SECOND_MS

WEEK_MS = 7 * DAY_MS
KNOWN = 50  # so often something was seen before it can be missed
BOOKED = 10  # of so many payments the shop's own word must have come
DELIVERED = 20  # of so many deliveries an attempt must have been told, of nearly all
WAITING_MAX = 1_000
SLACK_MS = 15 * SECOND_MS  # an interval of the rules
FEWEST = 3

_CREATED, _PAID = EventType.CREATED.value, EventType.PAID.value
_CALLBACK, _EXPIRED = EventType.CALLBACK.value, EventType.EXPIRED.value
_ATTEMPTED, _DELIVERED = EventType.ATTEMPTED.value, EventType.DELIVERED.value
_ARRIVALS = frozenset((
    _CREATED, _PAID, _CALLBACK, EventType.ACCEPTED.value, EventType.RESERVED.value,
))  # fmt: skip
_STEPS = frozenset((
    _ATTEMPTED, EventType.ATTEMPT_FAILED.value, _DELIVERED, EventType.VERIFIED.value,
    EventType.FAILED.value, _EXPIRED,
))  # fmt: skip
_MOVING = _STEPS | {_PAID, EventType.CANCELLED.value}
BOOKINGS = frozenset((
    _PAID, EventType.ACCEPTED.value, EventType.RESERVED.value, _ATTEMPTED,
    EventType.ATTEMPT_FAILED.value, _DELIVERED, EventType.VERIFIED.value, EventType.FAILED.value,
    EventType.REFUNDED.value,
))  # fmt: skip
"""By these a shop shows that it knows of a payment."""


def _is_moving(event: OrderEvent) -> bool:
    """Whether an unpaid order is none any more after this."""
    kind = event.type
    return kind in _MOVING or (kind == _CALLBACK and event.meaning == "paid")


class Peak(msgspec.Struct, omit_defaults=True):
    """The most of something in this week and the last.

    Once it is known, what is far more is an incident and teaches little.
    """

    n: int = 0
    week: int = 0
    now: int = 0
    before: int = 0

    @property
    def most(self) -> int:
        """The most that is usual."""
        return max(self.now, self.before)

    def note(self, value: int, at_ms: int) -> None:
        """Count one."""
        week = at_ms // WEEK_MS
        self.n += 1
        if value <= self.now and week <= self.week:
            return  # nearly always
        if week > self.week:
            self.before = self.now if week == self.week + 1 else self.most
            self.now, self.week = 0, week
        if self.n > KNOWN:
            value = min(value, self.most + self.most // 4 + 1)
        self.now = max(self.now, value)


class Waiters(msgspec.Struct, omit_defaults=True):
    """When those came that wait for the next step, and how many of them usually wait, how long."""

    since_ms: int = 0
    came: list[int] = []
    many: Peak = msgspec.field(default_factory=Peak)
    long: Peak = msgspec.field(default_factory=Peak)

    def arrive(self, at_ms: int) -> None:
        """One came."""
        self.since_ms = self.since_ms or at_ms
        if not self.came or at_ms >= self.came[-1]:
            self.came.append(at_ms)
        else:
            self.came.insert(bisect_right(self.came, at_ms), at_ms)
        if len(self.came) > WAITING_MAX:
            del self.came[0]

    def leave(self, came_ms: int) -> None:
        """One of them waits no more, for a reason that is no step."""
        place = bisect_left(self.came, came_ms)
        if place < len(self.came) and self.came[place] == came_ms:
            del self.came[place]

    def step(self, at_ms: int, came_ms: int | None = None) -> None:
        """A step was made: for the one that came then (None: for the first), and so for all before."""
        if not self.came:
            return
        count = len(self.came) if came_ms is None else bisect_right(self.came, came_ms)
        if count:
            self.many.note(count, at_ms)
            self.long.note(max(at_ms - (self.came[0] if came_ms is None else came_ms), 0), at_ms)
            del self.came[:count]

    def overdue(self, now_ms: int) -> tuple[int, int] | None:
        """Who waits longer than anybody usually does, and how many may; None: not known yet."""
        if self.many.n < KNOWN or now_ms - self.since_ms < DAY_MS:
            return None
        patience_ms = self.long.most * 3 // 2 + SLACK_MS
        late = bisect_right(self.came, now_ms - patience_ms)
        return late, max(FEWEST, 2 * self.many.most)


class Habits(msgspec.Struct, omit_defaults=True):
    """All habits of one source."""

    steps: Waiters = msgspec.field(default_factory=Waiters)
    expiries: Waiters = msgspec.field(default_factory=Waiters)
    lags: Lags = msgspec.field(default_factory=Lags)
    attempts: int = 0
    deliveries: int = 0
    attempt_wait: Peak = msgspec.field(default_factory=Peak)
    booking_wait: Peak = msgspec.field(default_factory=Peak)

    def note(self, event: OrderEvent, timeline: tuple[OrderEvent, ...]) -> None:
        """Learn from an event that was accepted; `timeline` is that of its order, the event in it."""
        kind, at_ms = event.type, event.received_ms
        if not event.is_inferred:
            self.lags.note(at_ms - event.time_ms, at_ms)
        if len(timeline) == 1:
            self._arrive(event)
        else:
            self._move(event, timeline)
        if kind in _STEPS and event.takeover_id is None:
            self.steps.step(at_ms)
            if kind in (_ATTEMPTED, _DELIVERED):
                self._count_attempt(event, timeline)

    @property
    def is_telling_attempts(self) -> bool:
        """Whether nearly every delivery is preceded by an attempt that is told."""
        return self.deliveries >= DELIVERED and 10 * self.attempts >= 9 * self.deliveries

    @property
    def is_booking(self) -> bool:
        """Whether the shop usually says by itself that an order is paid."""
        return self.booking_wait.n >= BOOKED

    def _arrive(self, event: OrderEvent) -> None:
        if event.type not in _ARRIVALS or event.fulfilment == "manual":
            return
        self.steps.arrive(event.received_ms)
        if event.type == _CREATED and not event.created_means_paid:
            self.expiries.arrive(event.received_ms)

    def _move(self, event: OrderEvent, timeline: tuple[OrderEvent, ...]) -> None:
        """Something was said of an order that is known: it may be the first word of a kind."""
        is_booking, is_moving = event.type in BOOKINGS, _is_moving(event)
        if not is_booking and not is_moving:
            return
        came_ms = called_ms = None
        for one in timeline:
            kind = one.type
            if kind == _CREATED:
                came_ms = one.received_ms if one.source == event.source else came_ms
            elif kind == _CALLBACK and one.meaning == "paid":
                called_ms = one.received_ms if called_ms is None else called_ms
                is_moving = is_moving and one is event
            elif one is not event and kind in _MOVING:
                return  # not the first
        if is_moving and came_ms is not None:  # it is not one that nobody pays any more
            if event.type == _EXPIRED:
                self.expiries.step(event.received_ms, came_ms)
            else:
                self.expiries.leave(came_ms)
        if is_booking and called_ms is not None:
            self.booking_wait.note(max(event.received_ms - called_ms, 0), event.received_ms)

    def _count_attempt(self, event: OrderEvent, timeline: tuple[OrderEvent, ...]) -> None:
        if any(one.type == event.type and one is not event for one in timeline):
            return  # another one of the same order
        if event.type == _DELIVERED:
            self.deliveries += 1
            if self.deliveries >= 1_000:
                self.deliveries, self.attempts = self.deliveries // 2, self.attempts // 2
            return
        self.attempts += 1
        paid_ms = next((one.time_ms for one in timeline if one.type == _PAID), None)
        if paid_ms is not None:
            self.attempt_wait.note(max(event.time_ms - paid_ms, 0), event.received_ms)
