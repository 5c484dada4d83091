"""Runs recorded events through the real engine in virtual time; nothing of what it asks is done.

    sort ─► one batch per millisecond ─► engine ─► decisions noted, effects counted
                      ▲                     │
                      └── ticks in between ◄┘ at every `WakeAt`

The events are taken as if each had arrived the moment it happened, in one fixed order, so the order
of the lines of a file changes nothing. Orders leave the engine's memory and come back exactly as
they do in the service; here a dictionary stands for the store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import assert_never

import msgspec

from monitor.core.engine import Engine
from monitor.core.orders.facts import canonical_key
from monitor.core.orders.order import Order
from monitor.model.commands import (
    Accepted,
    Batch,
    Cancel,
    Command,
    Decide,
    Input,
    Perform,
    Tick,
    WakeAt,
)
from monitor.model.effects import Notify
from monitor.model.events import OrderEvent
from monitor.model.records import (
    AlertMoved,
    BaselineLearned,
    CaseMoved,
    Decision,
    SourceMoved,
    SwitchDecided,
    TierReached,
)
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings
from monitor.model.times import DAY_MS, SECOND_MS

EVALUATIONS_MAX = 10_000  # over the whole file, so that years replay in seconds

# Decisions worth a line of the report each; breaches and tiers are only counted.
Notable = AlertMoved | SwitchDecided | CaseMoved | SourceMoved

_encoder = msgspec.json.Encoder()


class Replayed(msgspec.Struct, frozen=True, eq=False):
    """The engine at `at_ms` with every order in memory, and what happened on the way there.

    `untimed` events named no usable time of their own, `later` ones lie beyond `until_ms`; neither
    was taken. `counts` counts decisions by kind (`breach`, `tier 1` …) and effects by kind.
    `evaluation_floor_ms`: rules and breaker were evaluated no more often than this.
    """

    engine: Engine
    settings: Settings
    at_ms: int
    first_ms: int | None
    last_ms: int | None
    accepted: int
    duplicates: int
    untimed: int
    later: int
    notable: tuple[Notable, ...]
    counts: dict[str, int]
    evaluation_floor_ms: int
    state_hash: str
    engine_hash: str


def replay(
    events: Sequence[OrderEvent], settings: Settings, rules: RuleSet, *, until_ms: int | None
) -> Replayed:
    """Feed events to a fresh engine in the order of their times and stop at a time.

    Without `until_ms` that is the time of the last event; with it later events are left out and
    time goes on to it. Events that only have an arrival time cannot be placed and are left out.
    """
    timed = [event for event in events if not event.is_inferred]
    taken = [event for event in timed if until_ms is None or event.time_ms <= until_ms]
    taken.sort(key=_total_key)
    first_ms = taken[0].time_ms if taken else None
    last_ms = taken[-1].time_ms if taken else None
    at_ms = until_ms if until_ms is not None else last_ms or 0
    floor_ms = _floor_ms(at_ms - (at_ms if first_ms is None else first_ms), settings)
    settings = msgspec.structs.replace(settings, evaluation_floor_ms=floor_ms)
    run = _Run(settings, rules)
    for time_ms, group in groupby(taken, key=lambda event: event.time_ms):
        run.tick_before(time_ms)
        run.take(tuple(_as_arrived(event) for event in group), time_ms)
    if taken:
        run.tick_before(at_ms + 1)
    run.bring_back_all(at_ms)
    return Replayed(
        engine=run.engine,
        settings=settings,
        at_ms=at_ms,
        first_ms=first_ms,
        last_ms=last_ms,
        accepted=run.counts["accepted"],
        duplicates=run.counts["duplicate"],
        untimed=len(events) - len(timed),
        later=len(timed) - len(taken),
        notable=tuple(run.notable),
        counts=dict(sorted(run.counts.items())),
        evaluation_floor_ms=floor_ms,
        state_hash=run.engine.state_hash(at_ms),
        engine_hash=run.engine.engine_hash(),
    )


class _Run:
    """One engine on its way through time, with the store that a service would have."""

    def __init__(self, settings: Settings, rules: RuleSet) -> None:
        self.engine = Engine(settings, rules)
        self.notable: list[Notable] = []
        self.counts: Counter[str] = Counter()
        self._store: dict[str, Order] = {}
        self._wake_ms: int | None = None
        self._forgotten_ms = 0

    def take(self, entries: tuple[OrderEvent, ...], now_ms: int) -> None:
        """Hand over all events of one millisecond."""
        known = (self._store.get(order_id) for order_id in self.engine.missing(entries))
        self.engine.hydrate([order for order in known if order is not None], now_ms)
        self._handle(Batch(entries), now_ms)

    def tick_before(self, end_ms: int) -> None:
        """Wake the engine whenever it asked for it, up to but not at a time."""
        while self._wake_ms is not None and self._wake_ms < end_ms:
            self._handle(Tick(), self._wake_ms)

    def bring_back_all(self, now_ms: int) -> None:
        """Take every order that left memory back, so that hashes and reports speak of all."""
        gone = self.engine.shard.missing(self._store)
        self.engine.hydrate([self._store[order_id] for order_id in gone], now_ms)

    def _handle(self, given: Input, now_ms: int) -> None:
        for command in self.engine.handle(given, now_ms):
            self._note(command)
        shard = self.engine.shard
        for order in (*shard.drain_dirty(), *shard.drain_dormant()):
            self._store[order.order_id] = order
        shard.history.drain()
        if now_ms - self._forgotten_ms > DAY_MS:
            shard.history.forget_before(now_ms)
            self._forgotten_ms = now_ms

    def _note(self, command: Command) -> None:
        match command:
            case Accepted(outcomes):
                self.counts.update(outcomes)
            case Decide(decision):
                self._note_decision(decision)
            case Perform(effect):
                kind = f"{effect.event_type}" if isinstance(effect, Notify) else ""
                self.counts[f"effect {type(effect).__name__} {kind}".rstrip()] += 1
            case WakeAt(at_ms):
                self._wake_ms = at_ms
            case Cancel():
                pass
            case _:
                assert_never(command)

    def _note_decision(self, decision: Decision) -> None:
        if isinstance(decision, Notable):
            self.notable.append(decision)
        else:
            self.counts[_counted_as(decision)] += 1


def _counted_as(decision: Decision) -> str:
    match decision:
        case TierReached():
            return f"tier {decision.tier}"
        case BaselineLearned():
            return "baseline"
        case _:
            return "breach"


def _total_key(event: OrderEvent) -> tuple[tuple[int, int, str, str], str, bytes]:
    """Order even events of one millisecond that differ in nothing but their content."""
    return canonical_key(event), event.order_id, _encoder.encode(event)


def _as_arrived(event: OrderEvent) -> OrderEvent:
    return msgspec.structs.replace(event, received_ms=event.time_ms)


def _floor_ms(span_ms: int, settings: Settings) -> int:
    floor_ms = max(0, span_ms) // EVALUATIONS_MAX
    return max(settings.evaluation_floor_ms, floor_ms - floor_ms % SECOND_MS)
