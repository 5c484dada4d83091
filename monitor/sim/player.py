"""Plays recorded events to the real engine in virtual time; nothing of what it asks for is done.

    tape: sorted once ─► player: one batch per millisecond ─► engine ─► commands to whoever listens
                                   ▲                            │
                                   └───── ticks in between ◄────┘ at every `WakeAt`

The events are taken as if each had arrived the moment it happened, in one fixed order, so the order
of the lines of a file changes nothing. A tape can be played to several engines. Orders leave the
engine's memory and come back exactly as they do in the service; here a dictionary stands for the
store.

A gap of more than a day, the end without limit after the last event included, is far: an hour after
its last event the engine is woken ever more rarely, as it is on a machine that sleeps. How often
depends on that event alone, so a later end changes nothing that is said of the time before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise
from operator import attrgetter

import msgspec

from monitor.core.engine import Engine
from monitor.core.orders.facts import canonical_key
from monitor.core.orders.order import Order
from monitor.model.commands import Batch, Command, Input, Tick, WakeAt
from monitor.model.events import OrderEvent
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

# Rules are evaluated over a whole tape as often as fits into about a minute of an idle core, of which
# a fifth is theirs however many events there are; what an event and a look at so many rules cost is
# measured by `make bench`.
EVALUATIONS_MIN, EVALUATIONS_MAX = 100, 20_000
_PLAY_US, _LOOKS_US = 60_000_000, 12_000_000
_EVENT_US, _LOOK_US, _RULE_US = 45, 1_400, 200
_PROGRESS_PARTS = 1_000

FAR_MS = DAY_MS
# After so long in a far gap ticks are made at multiples of a step, 30 while a silence doubles: some
# hundred in fifty years. What orders are due for (a promise, a tier) keeps its time, so often.
EXACT_MS = HOUR_MS
_LOOKS_PER_DOUBLING, _DEADLINES_MAX = 30, 500
# So few far gaps do not count: an event with a wrong year must not make the rest coarser.
_FAR_FREE = 4

Listener = Callable[[Command], None]
Progress = Callable[[float], None]

_encoder = msgspec.json.Encoder()
_time_of = attrgetter("time_ms")


def _silent(share: float) -> None:
    """Report to nobody."""


class Tape(msgspec.Struct, frozen=True, eq=False):
    """Events in the order in which they are played, one tuple for each millisecond.

    `at_ms` is when the tape ends. `untimed` events named no usable time of their own, `later` ones
    lie beyond the end, the first of them at `next_ms`; neither is on the tape. `lively_ms` is the
    time in which something happens: between events, without far gaps.
    """

    batches: tuple[tuple[OrderEvent, ...], ...]
    at_ms: int
    first_ms: int | None
    last_ms: int | None
    taken: int
    untimed: int
    later: int
    next_ms: int | None
    lively_ms: int


def record(events: Sequence[OrderEvent], *, until_ms: int | None = None) -> Tape:
    """Sort events for playing; without `until_ms` the tape ends with the last event.

    Events that only have an arrival time cannot be placed and are left out.
    """
    timed = [event for event in events if not event.is_inferred]
    taken = [event for event in timed if until_ms is None or event.time_ms <= until_ms]
    taken.sort(key=_time_of)
    batches: list[tuple[OrderEvent, ...]] = []
    start = 0
    while start < len(taken):
        end = start + 1
        time_ms = taken[start].time_ms
        while end < len(taken) and taken[end].time_ms == time_ms:
            end += 1
        together = taken[start:end]
        if end - start > 1:
            together.sort(key=_total_key)
        batches.append(tuple([_as_arrived(event) for event in together]))
        start = end
    last_ms = taken[-1].time_ms if taken else None
    later = [event.time_ms for event in timed if until_ms is not None and event.time_ms > until_ms]
    return Tape(
        batches=tuple(batches),
        at_ms=until_ms if until_ms is not None else last_ms or 0,
        first_ms=taken[0].time_ms if taken else None,
        last_ms=last_ms,
        taken=len(taken),
        untimed=len(events) - len(timed),
        later=len(later),
        next_ms=min(later, default=None),
        lively_ms=_lively_ms(batches),
    )


def _lively_ms(batches: Sequence[tuple[OrderEvent, ...]]) -> int:
    """The gaps between events, a far one as a day; the first few far ones do not count."""
    total_ms = far = 0
    for before, after in pairwise(batches):
        gap_ms = after[0].time_ms - before[0].time_ms
        if gap_ms > FAR_MS:
            far += 1
        else:
            total_ms += gap_ms
    return total_ms + FAR_MS * max(0, far - _FAR_FREE)


def cut(tape: Tape, at_ms: int) -> tuple[Tape, Tape]:
    """Cut a tape in two: up to a time, and what comes after it."""
    place = bisect_right(tape.batches, at_ms, key=lambda batch: batch[0].time_ms)
    after = _part(tape, tape.batches[place:], tape.at_ms, tape.next_ms)
    next_ms = tape.next_ms if after.first_ms is None else after.first_ms
    return _part(tape, tape.batches[:place], min(at_ms, tape.at_ms), next_ms), after


def _part(
    tape: Tape, batches: tuple[tuple[OrderEvent, ...], ...], at_ms: int, next_ms: int | None
) -> Tape:
    return msgspec.structs.replace(
        tape,
        batches=batches,
        at_ms=at_ms,
        first_ms=batches[0][0].time_ms if batches else None,
        last_ms=batches[-1][0].time_ms if batches else None,
        taken=sum(len(batch) for batch in batches),
        next_ms=next_ms,
        lively_ms=_lively_ms(batches),
    )


def floor_ms(tape: Tape, settings: Settings, rules: int, every_ms: int | None = None) -> int:
    """How often so many rules are evaluated at most: as asked, else `evaluations` times over a tape.

    Time in which nothing happens does not count, nor does what comes after the last event.
    """
    if every_ms is not None:
        return max(settings.evaluation_floor_ms, every_ms)
    coarse_ms = tape.lively_ms // evaluations(tape.taken, rules)
    return max(settings.evaluation_floor_ms, coarse_ms - coarse_ms % SECOND_MS)


def evaluations(events: int, rules: int) -> int:
    """How many looks at all rules fit into a minute beside so many events."""
    left_us = max(_PLAY_US - events * _EVENT_US, _LOOKS_US)
    fitting = left_us // (_LOOK_US + rules * _RULE_US)
    return min(max(fitting, EVALUATIONS_MIN), EVALUATIONS_MAX)


class Player:
    """One engine on its way through time; `listen` hears every command but the wake-up calls.

    `ticks`: how often the engine was woken between events.
    """

    def __init__(self, settings: Settings, rules: RuleSet, listen: Listener) -> None:
        self.engine = Engine(settings, rules)
        self.ticks = 0
        self._listen = listen
        self._store: dict[str, Order] = {}
        self._wake_ms: int | None = None
        self._heard_ms: int | None = None  # the latest event
        self._deadlines = 0  # kept in the far gap after it
        self._forgotten_ms = 0

    @property
    def orders(self) -> int:
        """How many orders there are, in memory and out of it."""
        return len(self._store)

    def play(self, tape: Tape, on_progress: Progress = _silent) -> None:
        """Play a whole tape; progress is told as a share, 0..1, about a thousand times."""
        every = max(1, len(tape.batches) // _PROGRESS_PARTS)
        for number, batch in enumerate(tape.batches):
            self.tick_before(batch[0].time_ms, next_ms=batch[0].time_ms)
            self.take(batch)
            if number % every == 0:
                on_progress(number / len(tape.batches))
        self.tick_before(tape.at_ms + 1, next_ms=tape.next_ms)
        if self._wake_ms is not None and self._wake_ms <= tape.at_ms:
            self._tick(tape.at_ms)  # the next look would have been later
        on_progress(1.0)

    def take(self, batch: tuple[OrderEvent, ...]) -> None:
        """Hand over all events of one millisecond."""
        now_ms = batch[0].time_ms
        held = self.engine.shard.orders
        gone = [event.order_id for event in batch if event.order_id not in held]
        if gone:
            known = (self._store.get(order_id) for order_id in dict.fromkeys(gone))
            self.engine.hydrate([order for order in known if order is not None], now_ms)
        self._handle(Batch(batch), now_ms)
        self._heard_ms, self._deadlines = now_ms, 0

    def tick_before(self, end_ms: int, *, next_ms: int | None) -> None:
        """Wake the engine whenever it asked for it, up to but not at a time.

        `next_ms`: when the next event comes, before that time or after it; None: never.
        """
        heard_ms = self._heard_ms
        is_far = heard_ms is not None and (next_ms is None or next_ms - heard_ms > FAR_MS)
        while self._wake_ms is not None and self._wake_ms < end_ms:
            at_ms = self._seldom_ms(self._wake_ms) if is_far else self._wake_ms
            if at_ms >= end_ms:
                return
            self._tick(at_ms)

    def _tick(self, now_ms: int) -> None:
        self.ticks += 1
        self._handle(Tick(), now_ms)

    def _seldom_ms(self, wake_ms: int) -> int:
        """When the engine is woken in a far gap instead of then; never earlier."""
        silent_ms = wake_ms - (self._heard_ms or 0)
        if silent_ms <= EXACT_MS:
            return wake_ms
        minutes = silent_ms // _LOOKS_PER_DOUBLING // MINUTE_MS
        step_ms = MINUTE_MS << (minutes.bit_length() - 1)
        at_ms = -(-wake_ms // step_ms) * step_ms
        due_ms = self.engine.shard.next_ms()
        if due_ms is not None and due_ms < at_ms and self._deadlines < _DEADLINES_MAX:
            self._deadlines += 1
            return max(wake_ms, due_ms)
        return at_ms

    def bring_back_all(self, now_ms: int) -> None:
        """Take every order that left memory back, so that hashes and reports speak of all."""
        gone = self.engine.shard.missing(self._store)
        self.engine.hydrate([self._store[order_id] for order_id in gone], now_ms)

    def _handle(self, given: Input, now_ms: int) -> None:
        for command in self.engine.handle(given, now_ms):
            if isinstance(command, WakeAt):
                self._wake_ms = command.at_ms
            else:
                self._listen(command)
        shard = self.engine.shard
        for order in shard.drain_dirty():
            self._store[order.order_id] = order
        for order in shard.drain_dormant():
            self._store[order.order_id] = order
        if now_ms - self._forgotten_ms > DAY_MS:
            shard.history.drain()
            shard.history.forget_before(now_ms)
            self._forgotten_ms = now_ms


def _total_key(event: OrderEvent) -> tuple[tuple[int, int, str, str], str, bytes]:
    """Order even events of one millisecond that differ in nothing but their content."""
    return canonical_key(event), event.order_id, _encoder.encode(event)


def _as_arrived(event: OrderEvent) -> OrderEvent:
    if event.received_ms == event.time_ms:
        return event
    return msgspec.structs.replace(event, received_ms=event.time_ms)
