"""Eight shards against one: whether a single bit differs, and what merging costs at every look."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence

from benchmarks.row import Row
from benchmarks.shards import Sharded, differences, merged
from monitor.config.rules_file import load_shipped
from monitor.core.rules.lookback import settings_for
from monitor.core.signals.observation import merge
from monitor.model.events import OrderEvent
from monitor.model.records import AlertMoved, BaselineLearned
from monitor.model.settings import Settings, SourceSettings
from monitor.model.times import HOUR_MS, MINUTE_MS, SECOND_MS

GROUP = "shards"
SEED = 11
SHARDS = 8
START_MS = 1_767_571_200_000  # Monday 2026-01-05 00:00 UTC
SETTINGS = Settings(sources=(SourceSettings("beating", heartbeat_ms=20 * MINUTE_MS),))

_CHANNELS = (("auto", 6), ("supplier", 3), ("pool", 1))
_SOURCES = ("beating", "plain")


def story(*, hours: float, per_minute: float, seed: int = SEED) -> list[OrderEvent]:
    """A shop over three channels, of which `auto` delivers nothing in a quarter of the last hour.

    One order in fifty is refunded, failed or never paid; one news in twenty comes late.
    """
    dice = random.Random(seed)
    span_ms = round(hours * HOUR_MS)
    outage_ms = (span_ms - 40 * MINUTE_MS, span_ms - 25 * MINUTE_MS)
    events: list[OrderEvent] = []
    for number in range(round(per_minute * span_ms / MINUTE_MS)):
        events += _order(dice, f"o{number}", dice.randrange(span_ms), outage_ms)
    return sorted(events, key=lambda one: (one.received_ms, one.order_id, one.event_id))


def _order(
    dice: random.Random, order_id: str, at_ms: int, outage_ms: tuple[int, int]
) -> list[OrderEvent]:
    channel = dice.choices([name for name, _ in _CHANNELS], [share for _, share in _CHANNELS])[0]
    source, sku = dice.choice(_SOURCES), f"sku-{dice.randrange(9)}"
    provider = dice.choice(("alipay", "wechat"))
    paid_ms = at_ms + round(1_000 * dice.lognormvariate(2.0, 0.7))
    done_ms = paid_ms + round(1_000 * dice.lognormvariate(2.1, 0.8))
    if channel == "auto" and outage_ms[0] <= done_ms < outage_ms[1]:
        done_ms = outage_ms[1] + round(1_000 * dice.expovariate(1 / 60))
    fate = dice.random()
    end = "order.refunded" if fate < 0.01 else "delivery.delivered"
    end = "delivery.failed" if 0.01 <= fate < 0.015 else end
    told = [("order.created", at_ms), ("order.paid", paid_ms), (end, done_ms)]
    events = []
    for kind, time_ms in told[: 1 if fate > 0.995 else 3]:
        late_ms = dice.randrange(20 * MINUTE_MS) if dice.random() < 0.05 else 0
        events.append(
            OrderEvent(
                kind,
                order_id,
                source,
                f"{kind}-{order_id}",
                START_MS + time_ms,
                START_MS + time_ms + late_ms,
                channel=channel,
                provider=provider,
                sku=sku,
            )
        )
    return events


def told(events: Sequence[OrderEvent], shards: int, *, every_ms: int) -> Sharded:
    """A world that was told the events as they arrived, and looked every so often."""
    rules = load_shipped()
    world = Sharded(shards, settings_for(SETTINGS, rules), rules)
    now_ms, place = START_MS, 0
    while place < len(events):
        now_ms += every_ms
        begin = place
        while place < len(events) and events[place].received_ms <= now_ms:
            place += 1
        world.take(events[begin:place])
        world.look(now_ms)
    return world


def rows(scale: float) -> Iterator[Row]:
    """All figures; scale 1.0 takes about a minute."""
    hours = max(3.0, 6 * scale)
    events = story(hours=hours, per_minute=20)
    every_ms = 5 * SECOND_MS
    one, many = told(events, 1, every_ms=every_ms), told(events, SHARDS, every_ms=every_ms)
    learned = sum(isinstance(made, BaselineLearned) for made in one.decided)
    moves = sum(isinstance(made, AlertMoved) for made in one.decided)
    note = (
        f"{len(events):,} events of {hours:g} h over {SHARDS} shards and over one, looked at every "
        f"5 s: {moves} alert moves, {learned} baselines; rows, tallies, findings, charts, arrivals, "
        f"callbacks, baselines, decisions; seed {SEED}"
    )
    what = f"things that differ in any bit between {SHARDS} shards and one"
    yield Row(GROUP, what, len(differences(one, many)), "", 0.0, "lower", note)
    n = len(many.rows.key)
    yield Row(GROUP, "merging the rows", _merge_ms(many), "ms", note=f"{n:,} rows in memory")
    yield Row(GROUP, "merging the tallies", _tallies_ms(many), "ms", note="best of 20")


def _merge_ms(world: Sharded) -> float:
    parts = [shard.observe() for shard in world.shards]
    return min(_timed(lambda: merge(parts)) for _ in range(20))


def _tallies_ms(world: Sharded) -> float:
    parts = [shard.tallies for shard in world.shards]
    return min(_timed(lambda: merged(parts)) for _ in range(20))


def _timed(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1_000
