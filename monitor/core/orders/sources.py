"""Sources: when did each shop last say anything, and is its silence suspicious?

A dead emitter must never look like a delivery outage. With a configured heartbeat the limit is the
heartbeat; without, it is the time in which ln(4 x orders per 30 d) orders are expected at the lower
confidence bound of the learned rate, at least 5 min (contract §2). A young source has a wide bound,
so it is never called silent by accident.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from monitor.core.orders.habits import Habits
from monitor.core.orders.shop_time import fold_hour, reached_ms, shares
from monitor.core.signals.calendar import Offsets
from monitor.core.signals.evidence import quick_rate_lower_bound
from monitor.core.signals.heard import Heard
from monitor.model.events import OrderEvent
from monitor.model.records import SourceMoved
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS

SILENCE_FLOOR_MS = 5 * MINUTE_MS
MONTH_MS = 30 * DAY_MS
RATE_MEMORY_MS = 28 * DAY_MS  # whole weeks: half of it has as many weekends
KNOWN_ORDERS = 30  # a source of which less is known says nothing by its silence
QUIET_GAPS = 4
QUIET_ORDERS = 3
LAG_MAX_MS = 2 * MINUTE_MS  # what is told later than this is a backlog, not a habit
_GAPS = 8  # the usual gap is an average over about so many
_LAG_STEP = 32  # how fast the usual lag follows, as a share of itself


class Source(msgspec.Struct, omit_defaults=True, dict=True):
    """What is known of one source; times are ours (`received_ms`), not the shop's.

    It has a `__dict__` for one thing that follows from its fields and is no state: `silent_after_ms`
    remembers its latest answer there.
    """

    name: str
    first_ms: int
    last_ms: int
    orders: int = 0
    heartbeat_ms: int | None = None
    is_silent: bool = False
    returned_ms: int = 0
    silent_from_ms: int = 0  # up to here it was believed before it fell silent last
    gap_ms: int = 0  # between two signs of life, of late
    order_gap_ms: int = 0  # between two new orders, of late; near 0 for one that sends batches
    order_ms: int = 0  # the latest new order
    lag_ms: int = 0  # by which 19 of 20 events had been told, of late
    hour: int = 0  # of the latest new order, UTC, time ÷ 1 h
    hour_orders: int = 0  # new orders in it
    week: list[int] = []  # new orders by local hour of the week, in 16ths: `shop_time`
    week_since: int = 0  # the first hour that is in it
    habits: Habits = msgspec.field(default_factory=Habits)

    def hear(self, received_ms: int) -> None:
        """Note that the source said something."""
        gap_ms = received_ms - self.last_ms
        if gap_ms <= 0:
            return
        if self.last_ms:
            usual_ms = self.gap_ms or gap_ms
            self.gap_ms = max(1, usual_ms + (gap_ms - usual_ms) // _GAPS)
        self.last_ms = received_ms

    def note(self, event: OrderEvent, timeline: tuple[OrderEvent, ...]) -> None:
        """Learn from an event that was accepted; `timeline` is that of its order, the event in it."""
        self.note_lag(event.received_ms - event.time_ms)
        self.habits.note(event, timeline)

    def note_lag(self, lag_ms: int) -> None:
        """An event was told so long after it happened: follow the 95th percentile of that."""
        if not 0 <= lag_ms <= LAG_MAX_MS:
            return
        usual_ms = self.lag_ms
        if lag_ms == usual_ms:
            return
        step_ms = max(usual_ms, 1_000) // _LAG_STEP
        if lag_ms > usual_ms:
            self.lag_ms = min(usual_ms + step_ms, lag_ms)
        else:
            self.lag_ms = max(usual_ms - max(step_ms // 19, 1), lag_ms)

    def count_order(self, now_ms: int, offsets: Offsets = ()) -> None:
        """Count a new order; after 28 days old counts weigh half, so the rate follows the shop.

        `offsets`: `Settings.utc_offsets`.
        """
        self.orders += 1
        if self.order_ms:
            gap_ms = max(now_ms - self.order_ms, 0)
            usual_ms = self.order_gap_ms or gap_ms
            self.order_gap_ms = max(1, usual_ms + (gap_ms - usual_ms) // _GAPS)
        self.order_ms = max(self.order_ms, now_ms)
        if now_ms - self.first_ms > RATE_MEMORY_MS:
            self.orders = (self.orders + 1) // 2
            self.first_ms = now_ms - RATE_MEMORY_MS // 2
        hour = now_ms // HOUR_MS
        if hour > self.hour:
            self._begin_hour(hour, offsets)
        self.hour_orders += 1

    def _begin_hour(self, hour: int, offsets: Offsets) -> None:
        if self.hour:
            self.week_since = fold_hour(
                self.week, self.week_since, self.hour, self.hour_orders, offsets
            )
        else:
            self.week_since = hour + 1  # of this one nobody knows how it began
        self.hour, self.hour_orders = hour, 0

    def limit_ms(self, offsets: Offsets = (), awake_ms: int = 0) -> int | None:
        """How long a silence that began with its last word is normal; None: for ever."""
        after_ms = self.silent_after_ms(offsets, awake_ms)
        return None if after_ms is None else after_ms - self._heard_ms(awake_ms)

    def silent_after_ms(self, offsets: Offsets = (), awake_ms: int = 0) -> int | None:
        """The last instant at which it does not count as silent if it says no more; None: never.

        `awake_ms`: since when we are there to hear it.
        """
        heard_ms = self._heard_ms(awake_ms)
        if self.heartbeat_ms is not None:
            return heard_ms + self.heartbeat_ms
        asked = (heard_ms, self.first_ms, self.last_ms, self.orders, self.hour_orders, offsets)
        known: tuple[object, int | None] | None = self.__dict__.get("silent_after")
        if known is None or known[0] != asked:
            known = (asked, self._learned_silence_ms(heard_ms, offsets))
            self.__dict__["silent_after"] = known
        return known[1]

    def _learned_silence_ms(self, heard_ms: int, offsets: Offsets) -> int | None:
        patience_ms = patience(self.orders, max(self.last_ms - self.first_ms, 0))
        if patience_ms is None:
            return None
        silent_ms = reached_ms(self._shares(offsets), heard_ms, patience_ms, offsets)
        return max(heard_ms + SILENCE_FLOOR_MS, silent_ms)

    def _shares(self, offsets: Offsets) -> tuple[int, ...]:
        """What its hours bring; worked out once an hour, when another one has been counted."""
        asked = (self.hour, offsets)
        known: tuple[object, tuple[int, ...]] | None = self.__dict__.get("shares")
        if known is None or known[0] != asked:
            known = (asked, shares(self.week, self.week_since, self.hour, offsets))
            self.__dict__["shares"] = known
        return known[1]

    def _heard_ms(self, awake_ms: int) -> int:
        return self.last_ms if self.is_silent else max(self.last_ms, awake_ms)

    def believed_until_ms(self, now_ms: int) -> int:
        """Until when an order without news may trip a channel; 0 while the source is silent.

        A dead emitter looks exactly like a dead channel, long before it counts as silent. So an
        order proves that its channel is slow only if the source spoke of others since.
        """
        if self.is_silent:
            return 0
        return now_ms if self.orders < KNOWN_ORDERS else self.last_ms

    def quiet_until_ms(self, now_ms: int) -> int:
        """Until when a delivery not heard of is missing: not later than news usually take.

        And not later than its silence is nothing unusual: four usual gaps, or the time of three
        orders. So a shop that sends batches, or an emitter that dies, owes no more than three.
        """
        return min(now_ms - self.lag_ms, self._patient_until_ms(now_ms))

    def speaks(self, now_ms: int) -> bool:
        """Whether its silence, if any, is nothing unusual."""
        return not self.is_silent and now_ms <= self._patient_until_ms(now_ms)

    def _patient_until_ms(self, now_ms: int) -> int:
        if not self.gap_ms:
            return now_ms
        patience_ms = QUIET_GAPS * self.gap_ms
        if self.order_gap_ms:
            patience_ms = min(patience_ms, QUIET_ORDERS * self.order_gap_ms)
        return min(now_ms, self.last_ms + patience_ms)

    def is_unusually_quiet(self, now_ms: int) -> bool:
        """Whether nothing is known of its orders right now, although it does not count as silent.

        Promises break sooner than silence can be told from a pause. So what is due meanwhile waits
        for its next word, or until it counts as silent.
        """
        return self.orders >= KNOWN_ORDERS and not self.speaks(now_ms)

    def held_until_ms(self, hold_ms: int, now_ms: int) -> int:
        """Up to when what it told of its orders that are not confirmed now was believed."""
        if self.is_silent or now_ms < self.returned_ms + hold_ms:
            return self.silent_from_ms
        return self.quiet_until_ms(now_ms)

    def move(self, moved: SourceMoved) -> None:
        """Fall silent, or come back."""
        self.is_silent = moved.is_silent
        if moved.is_silent:
            self.silent_from_ms = self.quiet_until_ms(moved.at_ms)
        else:
            self.returned_ms = moved.at_ms

    def is_quiet_too_long(self, now_ms: int, awake_ms: int = 0, offsets: Offsets = ()) -> bool:
        """Whether the silence has outlasted its limit, while we were there to hear: since `awake_ms`."""
        if self.heartbeat_ms is None and now_ms - self._heard_ms(awake_ms) <= SILENCE_FLOOR_MS:
            return False  # nearly always: spare the estimate
        after_ms = self.silent_after_ms(offsets, awake_ms)
        return after_ms is not None and now_ms > after_ms

    def is_silent_before(self, at_ms: int) -> bool:
        """Whether it might count as silent before a time: a bound that costs nothing."""
        least_ms = SILENCE_FLOOR_MS if self.heartbeat_ms is None else self.heartbeat_ms
        return self.last_ms + least_ms + 1 < at_ms


def known(sources: dict[str, Source], name: str, received_ms: int) -> Source:
    """The source of that name, from now on if it was never heard."""
    source = sources.get(name)
    if source is None:
        source = sources[name] = Source(name, received_ms, received_ms)
    elif not source.first_ms:
        source.first_ms = received_ms
    return source


def patience(orders: int, span_ms: int) -> int | None:
    """After how much silence ln(4 x orders per 30 d) orders were expected; None: never.

    At the lower 99 % bound of a rate of which the silence itself is part: of `orders` in `span_ms`
    and in the silence. Time is the shop's own (`shop_time`).
    """
    slowest = quick_rate_lower_bound(orders, 1)

    def is_too_long(silence_ms: int) -> bool:
        watched_ms = span_ms + silence_ms
        monthly = max(orders * MONTH_MS / watched_ms, 1.0)
        return slowest * silence_ms > math.log(4 * monthly) * watched_ms

    fewest = math.log(4)
    if slowest <= fewest:
        return None
    # By then less than an order a month is left, and more than enough was expected.
    low, high = 0, max(orders * MONTH_MS, math.ceil(span_ms * fewest / (slowest - fewest))) + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_too_long(middle) else (middle, high)
    return low


def silences(
    sources: Mapping[str, Source], now_ms: int, awake_ms: int = 0, offsets: Offsets = ()
) -> list[SourceMoved]:
    """Sources that fell silent or came back by now, in the order of their names.

    `awake_ms`: since when the monitor runs; that it was not there is not the source's silence.
    """
    moved = [
        source
        for source in sources.values()
        # Configured and never heard is "waiting for the first event", not silent.
        if source.last_ms
        and source.is_quiet_too_long(now_ms, awake_ms, offsets) != source.is_silent
    ]
    return [
        SourceMoved(
            one.name, not one.is_silent, now_ms, one.last_ms, one.limit_ms(offsets, awake_ms) or 0
        )
        for one in sorted(moved, key=lambda source: source.name)
    ]


def heard(sources: Sequence[Source | None], hold_ms: int, now_ms: int) -> Heard:
    """How far each of these sources is believed; nothing is held against one that is not known.

    `hold_ms`: how long after its return the orders of a source may still be waiting for their news.
    """
    believed, quiet, held, speaks = [], [], [], []
    for source in sources:
        believed.append(source.believed_until_ms(now_ms) if source else now_ms)
        quiet.append(source.quiet_until_ms(now_ms) if source else now_ms)
        held.append(source.held_until_ms(hold_ms, now_ms) if source else 0)
        speaks.append(source.speaks(now_ms) if source else True)
    return Heard(
        np.array(believed, np.int64),
        np.array(quiet, np.int64),
        np.array(held, np.int64),
        np.array(speaks, np.bool_),
    )


def next_silence_ms(
    sources: Mapping[str, Source],
    before_ms: int | None = None,
    awake_ms: int = 0,
    offsets: Offsets = (),
) -> int | None:
    """The first time at which a source that is heard now would count as silent.

    Times from `before_ms` on are of no interest: None instead of such a time is as good.
    """
    times = [
        after_ms + 1
        for source in sources.values()
        if source.last_ms
        and not source.is_silent
        and (before_ms is None or source.is_silent_before(before_ms))
        and (after_ms := source.silent_after_ms(offsets, awake_ms)) is not None
    ]
    return min(times) if times else None
