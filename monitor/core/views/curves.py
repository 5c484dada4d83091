"""How long deliveries take: curves of the week's history, the orders that wait now as censored."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from monitor.core.engine_state import EngineState
from monitor.core.orders.history import Hour
from monitor.core.signals.arrays import IntArray
from monitor.core.signals.curve import SurvivalCurve
from monitor.core.signals.histogram import BUCKETS, LOWER_S, UPPER_S
from monitor.core.signals.survival import NEVER_MS, cohort
from monitor.model.ids import OTHER
from monitor.model.times import SECOND_MS

_MIDDLES_MS: IntArray = np.round((LOWER_S + UPPER_S) / 2 * SECOND_MS).astype(np.int64)


class ChannelCurves:
    """Curves of channels at one instant: history is gone through once, each curve computed once."""

    def __init__(self, engine: EngineState, now_ms: int) -> None:
        self._engine = engine
        self._now_ms = now_ms
        self._hours: dict[str, list[Hour]] = {}
        for hour in engine.shard.history.hours():
            self._hours.setdefault(hour.channel, []).append(hour)
        self._curves: dict[str, SurvivalCurve] = {}

    def of(self, channel: str) -> SurvivalCurve:
        """The curve of one channel."""
        if channel not in self._curves:
            name = _counted_as(self._engine, channel)
            ages_ms = _ages_ms(self._engine, name, None, self._now_ms)
            self._curves[channel] = _curve(self._hours.get(name, ()), ages_ms)
        return self._curves[channel]


def delivery_curve(
    engine: EngineState, channel: str | None, sku: str | None, now_ms: int
) -> SurvivalCurve:
    """The curve of all orders, or of those of a channel, of a SKU, or of both."""
    name = None if channel is None else _counted_as(engine, channel)
    hours = (
        hour
        for hour in engine.shard.history.hours()
        if name in (None, hour.channel) and sku in (None, hour.sku)
    )
    return _curve(hours, _ages_ms(engine, name, sku, now_ms))


def _curve(hours: Iterable[Hour], ages_ms: IntArray) -> SurvivalCurve:
    counts = [0] * BUCKETS
    never = 0
    for hour in hours:
        never += hour.never
        for bucket, count in hour.delivered.items():
            counts[bucket] += count
    durations = np.concatenate([_MIDDLES_MS, np.array([NEVER_MS], np.int64), ages_ms])
    weights = np.ones(len(durations), np.int64)
    weights[: BUCKETS + 1] = [*counts, never]
    return cohort(durations, np.arange(len(durations)) < BUCKETS, weights)


def _ages_ms(engine: EngineState, channel: str | None, sku: str | None, now_ms: int) -> IntArray:
    """Ages of the orders that wait."""
    if sku is not None:  # no column of the table
        orders = engine.shard.orders.values()
        chosen = [one for one in orders if one.is_open and one.facts.sku == sku]
        ages = [
            one.age_ms(now_ms)
            for one in chosen
            if channel in (None, _counted_as(engine, engine.channel_of(one)))
        ]
        return np.array(ages, dtype=np.int64)
    rows = engine.shard.observe()
    mask = rows.is_open  # kept by the rows: never changed in place
    if channel is not None:
        known = engine.shard.channels
        mask = mask & (rows.channel == (known.index(channel) if channel in known else -1))
    return rows.wait_ms(now_ms)[mask]


def _counted_as(engine: EngineState, channel: str) -> str:
    """The name history and table know a channel by: beyond the limit of names it is `other`."""
    known = engine.shard.channels
    return OTHER if channel not in known and OTHER in known else channel
