"""Shops played to the whole engine with the shipped rules: outages, stuck orders, canary orders.

The engine is given baselines learned from a month of the same shop, some healthy time, and then the
fault. It hears payments and deliveries as they happen and is woken whenever it asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import merge as merge_sorted

import msgspec
import numpy as np

from benchmarks import shop
from benchmarks.detection import learned, monthly
from monitor.config.rules_file import load_shipped
from monitor.core.engine import Engine
from monitor.core.rules.lookback import settings_for
from monitor.model.alerts import AlertState
from monitor.model.baselines import Baseline
from monitor.model.commands import Batch, Cancel, Command, Decide, Tick, WakeAt
from monitor.model.events import EventType, OrderEvent
from monitor.model.ids import ALL_ORDERS, CANARY_PREFIX, CANARY_SOURCE
from monitor.model.records import AlertMoved, BaselineLearned
from monitor.model.settings import ReceiverSettings, Settings
from monitor.model.times import DAY_MS, MINUTE_MS, SECOND_MS

CHANNEL = "auto"
CANARY_MS = MINUTE_MS
SETTINGS = Settings(receivers=(ReceiverSettings("ops", ("webhook/0",)),), default_receiver="ops")
_RULES = load_shipped()
_WINDOW_MS = 5 * MINUTE_MS
_MEAN_LIMIT_MS = 3 * MINUTE_MS


class Played(msgspec.Struct, frozen=True, eq=False):
    """What the engine said, with the times; `fault_ms` is when the shop broke."""

    said: list[tuple[int, Command]]
    fault_ms: int
    engine: Engine

    def firings(self, severity: str = "", rule: str = "") -> list[tuple[int, str]]:
        """(time, rule) of every alert that began to fire, of a severity or of one rule."""
        moves = [
            (at_ms, one.decision)
            for at_ms, one in self.said
            if isinstance(one, Decide) and isinstance(one.decision, AlertMoved)
        ]
        return [
            (at_ms, moved.alert.rule)
            for at_ms, moved in moves
            if moved.alert.state == AlertState.FIRING and moved.previous != AlertState.FIRING
            if severity in ("", moved.alert.severity) and rule in ("", moved.alert.rule)
        ]

    def seconds_to(self, rule: str) -> float:
        """From the fault to the rule's first firing after it; infinity without one."""
        after = [at_ms for at_ms, _ in self.firings(rule=rule) if at_ms >= self.fault_ms]
        return (after[0] - self.fault_ms) / SECOND_MS if after else float("inf")

    def early_pages(self) -> int:
        """Critical alerts that fired while everything was well."""
        return sum(at_ms < self.fault_ms for at_ms, _ in self.firings("critical"))


class Fault(msgspec.Struct, frozen=True):
    """A shop of so many orders a minute that is well for `warm_ms`, then broken.

    `share` of the orders never arrive from then on; a total outage also stops what is under way.
    """

    per_minute: float
    warm_ms: int
    watched_ms: int
    share: float = 1.0
    has_canary: bool = False


def baselines(per_minute: float, seed: int = 1, *, times: int = 1) -> list[Baseline]:
    """What a month (above ten a minute a week) of the healthy shop teaches, its channel and all.

    `times`: how often each order counts in the limit.
    """
    rng = np.random.default_rng(seed)
    span_ms = 28 * DAY_MS if per_minute <= 10 else 7 * DAY_MS
    one = learned(rng, per_minute, orders_30d=times * monthly(per_minute), span_ms=span_ms)
    return [msgspec.structs.replace(one, channel=name) for name in (ALL_ORDERS, CHANNEL)]


def played(
    events: Iterable[OrderEvent],
    known: Sequence[Baseline],
    until_ms: int,
    settings: Settings = SETTINGS,
) -> tuple[Engine, list[tuple[int, Command]]]:
    """The engine after events in the order of their arrival, and what it said until a time."""
    engine = Engine(settings_for(settings, _RULES), _RULES)
    for baseline in known:
        engine.refold(BaselineLearned(baseline, baseline.learned_ms))
    said: list[tuple[int, Command]] = []
    wake_ms = until_ms

    def handle(given: Batch | Tick, now_ms: int) -> None:
        nonlocal wake_ms
        for command in engine.handle(given, now_ms):
            if isinstance(command, WakeAt):
                wake_ms = command.at_ms
            elif not isinstance(command, Cancel):
                said.append((now_ms, command))
        engine.shard.drain_dirty()

    for event in events:
        while wake_ms < event.received_ms:
            handle(Tick(), wake_ms)
        handle(Batch((event,)), event.received_ms)
    while wake_ms < until_ms:
        handle(Tick(), wake_ms)
    return engine, said


def broken(fault: Fault, known: Sequence[Baseline], seed: int) -> Played:
    """Play a shop that breaks."""
    rng = np.random.default_rng((20_260_119, seed))
    fault_ms = shop.START_MS + fault.warm_ms + int(rng.integers(0, 5 * SECOND_MS))
    span_ms = fault.warm_ms + fault.watched_ms
    orders = shop.healthy(rng, fault.per_minute, span_ms)
    is_hit = rng.random(len(orders.paid_ms)) < fault.share
    since = orders.delivered_ms if fault.share == 1 else orders.paid_ms
    is_stuck = is_hit & (since >= fault_ms)
    events = order_events(orders.paid_ms, orders.delivered_ms, is_stuck)
    if fault.has_canary:
        events += canary_events(rng, span_ms, fault_ms)
    until_ms = shop.START_MS + span_ms
    engine, said = played(in_time(events, until_ms), known, until_ms)
    return Played(said, fault_ms, engine)


def order_events(
    paid_ms: Iterable[int], delivered_ms: Iterable[int], is_stuck: Iterable[bool], prefix: str = "o"
) -> list[OrderEvent]:
    """Payments and deliveries of a shop; stuck orders are never delivered."""
    events = []
    rows = zip(paid_ms, delivered_ms, is_stuck, strict=True)
    for number, (paid, done, stuck) in enumerate(rows):
        order_id = f"{prefix}{number}"
        events.append(_event(EventType.PAID, order_id, int(paid)))
        if not stuck:
            events.append(_event(EventType.DELIVERED, order_id, int(done)))
    return events


def canary_events(rng: np.random.Generator, span_ms: int, fault_ms: int) -> list[OrderEvent]:
    """A synthetic order a minute: created by us, then paid and delivered as the shop's others."""
    asked = shop.START_MS + np.arange(0, span_ms, CANARY_MS) + int(rng.integers(0, CANARY_MS))
    paid = asked + rng.integers(500, 2_000, len(asked))
    done = paid + shop.delays_ms(rng, len(asked))
    events = order_events(paid, done, done >= fault_ms, CANARY_PREFIX)
    events += [
        _event(EventType.CREATED, f"{CANARY_PREFIX}{number}", int(at_ms), CANARY_SOURCE)
        for number, at_ms in enumerate(asked)
    ]
    return events


def in_time(events: Iterable[OrderEvent], until_ms: int) -> list[OrderEvent]:
    """Events in the order of their arrival, up to a time."""
    told = sorted(events, key=lambda one: (one.received_ms, one.order_id, one.type))
    return [event for event in told if event.received_ms < until_ms]


def healthy_days(
    rng: np.random.Generator, per_day: float, days: float, *, has_canary: bool
) -> list[OrderEvent]:
    """Events of a shop in health at a flat rate."""
    span_ms = round(days * DAY_MS)
    orders = shop.healthy(rng, per_day / 1_440, span_ms)
    is_stuck = np.zeros(len(orders.paid_ms), np.bool_)
    events = order_events(orders.paid_ms, orders.delivered_ms, is_stuck)
    if has_canary:
        events += canary_events(rng, span_ms, shop.NEVER_MS)
    return in_time(events, shop.START_MS + span_ms)


def delivered_only(run: Played, events: Sequence[OrderEvent]) -> tuple[bool, bool]:
    """Whether rules over the orders delivered in five minutes fire after the fault.

    Mean over three minutes; more than 2 % later than promised. Looked at every five seconds.
    """
    paid = {one.order_id: one.time_ms for one in events if one.type == EventType.PAID}
    done = [one for one in events if one.type == EventType.DELIVERED]
    end = np.array([one.time_ms for one in done], np.int64)
    delay = end - np.array([paid[one.order_id] for one in done], np.int64)
    by_mean = by_share = False
    last_ms = max(one.time_ms for one in events)
    for now_ms in range(run.fault_ms, last_ms, 5 * SECOND_MS):
        seen = delay[(end <= now_ms) & (end > now_ms - _WINDOW_MS)]
        if seen.size:
            by_mean |= bool(seen.mean() > _MEAN_LIMIT_MS)
            by_share |= bool((seen > _MEAN_LIMIT_MS).mean() > 0.02)
    return by_mean, by_share


def told(run: Played) -> list[OrderEvent]:
    """The events the engine holds, as they were told."""
    timelines = (order.timeline for order in run.engine.shard.orders.values())
    return list(merge_sorted(*timelines, key=lambda one: one.received_ms))


def _event(kind: EventType, order_id: str, at_ms: int, source: str = "shop") -> OrderEvent:
    return OrderEvent(
        kind.value, order_id, source, f"{kind.value}-{order_id}", at_ms, at_ms,
        channel=None if source == CANARY_SOURCE else CHANNEL,
    )  # fmt: skip
