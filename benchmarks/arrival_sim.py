"""Simulated shops under the production `Arrivals`: false alarms, outages, partial falls.

Every shop of a crowd is one source of one `ArrivalCounter`, so what is measured is the class that
runs, not a copy of it. Six weeks are learned, then months pass in steps of minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import numpy as np

from benchmarks.arrival_curve import (
    MINUTES_OF_DAY,
    Crowd,
    Floats,
    Ints,
    days_of_arrivals,
    minute_rates,
)
from monitor.core.signals.arrival_counts import ArrivalCounter
from monitor.core.signals.arrivals import SHOP, ArrivalReading, Arrivals
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS

START_MS = 1_767_571_200_000  # Monday 2026-01-05 00:00 UTC
LEARNED_DAYS = 42
_BREAK_MINUTES = 60

Make = Callable[[int], Arrivals]


class Trained(msgspec.Struct, frozen=True, eq=False):
    """A monitor that has watched a crowd of healthy shops for some weeks."""

    crowd: Crowd
    arrivals: Arrivals
    counter: ArrivalCounter
    now_ms: int


def train(crowd: Crowd, seed: int, days: int = LEARNED_DAYS, make: Make = Arrivals) -> Trained:
    """Watch healthy shops; the week begins on a Monday."""
    arrivals, counter = make(START_MS), ArrivalCounter()
    now_ms = START_MS
    names = _names(crowd)
    for day in days_of_arrivals(crowd, days, seed):
        for in_hour in day.reshape(24, 12, 5, crowd.shops).sum(axis=2):
            for step, counts in enumerate(in_hour):
                _feed(counter, names, counts, now_ms + step * 5 * MINUTE_MS)
            now_ms += HOUR_MS
            arrivals.learn(counter, now_ms)
    return Trained(crowd, arrivals, counter, now_ms)


def copy_of(trained: Trained) -> Trained:
    """The same state again, by snapshot, so that one training serves several stories."""
    arrivals = type(trained.arrivals).restore(trained.arrivals.snapshot())
    counter = ArrivalCounter.restore(trained.counter.snapshot())
    return Trained(trained.crowd, arrivals, counter, trained.now_ms)


def false_alarms(trained: Trained, days: int, seed: int, step: int) -> Ints:
    """Alarms per shop in healthy days, looked at every `step` minutes; shape int64[shops].

    Two alarms less than an hour apart are one.
    """
    shops = trained.crowd.shops
    alarms, last = np.zeros(shops, np.int64), np.full(shops, -_BREAK_MINUTES - 1)
    for minute, readings in _pass(trained, days_of_arrivals(trained.crowd, days, seed), seed, step):
        for shop, reading in enumerate(readings):
            if reading.is_proven:
                alarms[shop] += minute - last[shop] > _BREAK_MINUTES
                last[shop] = minute
    return alarms


def fall_delays(trained: Trained, remaining: Floats, onsets: Ints, seed: int, step: int) -> Floats:
    """Minutes until a shop's fall to a share of normal is proven; inf if not within 24 h.

    Shapes: remaining float64[shops], onsets int64[shops] minutes after now; result float64[shops].
    An alarm that stands before the onset is false and does not count as seen until the next look.
    """
    draw = np.random.default_rng(seed + 1)
    days = -(-(int(onsets.max()) + MINUTES_OF_DAY) // MINUTES_OF_DAY) + 1

    def falling() -> Iterator[Ints]:
        for index, day in enumerate(days_of_arrivals(trained.crowd, days, seed)):
            minutes = np.arange(MINUTES_OF_DAY)[:, None] + index * MINUTES_OF_DAY
            yield np.where(minutes >= onsets, draw.binomial(day, remaining), day)

    delays = np.full(trained.crowd.shops, np.inf)
    for minute, readings in _pass(trained, falling(), seed, step):
        for shop, reading in enumerate(readings):
            waited = minute - int(onsets[shop])
            if reading.is_proven and 0 < waited <= MINUTES_OF_DAY:
                delays[shop] = min(delays[shop], waited)
        if np.all((delays < np.inf) | (minute > onsets + MINUTES_OF_DAY)):
            break
    return delays


def ideal_delays(crowd: Crowd, onsets: Ints, seed: int) -> Floats:
    """Minutes until an outage is seen by who knows the rate exactly and the rate never varies.

    Silence since the last order for as long as ln(4 x orders in 30 d) orders are expected: with
    Poisson arrivals that is 0.25 false alarms in 30 days, and nothing sees total silence sooner.
    """
    rates = np.tile(minute_rates(crowd.week), 3) * crowd.orders_per_day / MINUTES_OF_DAY
    expected = np.concatenate(([0.0], np.cumsum(rates)))
    since_last = np.random.default_rng(seed).exponential(size=onsets.size)
    needed = np.log(4.0 * 30.0 * crowd.orders_per_day) - since_last
    delays: Floats = np.searchsorted(expected, expected[onsets] + needed) - onsets + 0.0
    return np.maximum(delays, 1.0)


def onsets_in(crowd: Crowd, days: int, seed: int, *, at_orders: bool) -> Ints:
    """When falls begin: at any minute alike, or as likely as an order is then (buyers notice).

    Stratified, one in each of as many equal parts as there are shops, so that a few dozen show
    the nights in their true share.
    """
    parts = (np.arange(crowd.shops) + np.random.default_rng(seed).random(crowd.shops)) / crowd.shops
    if not at_orders:
        return (parts * days * MINUTES_OF_DAY).astype(np.int64)
    rates = np.cumsum(np.resize(minute_rates(crowd.week), days * MINUTES_OF_DAY))
    onsets: Ints = np.searchsorted(rates, parts * rates[-1]).astype(np.int64)
    return onsets


def _names(crowd: Crowd) -> tuple[str, ...]:
    return tuple(f"shop-{shop:03d}" for shop in range(crowd.shops))


def _feed(counter: ArrivalCounter, names: tuple[str, ...], counts: Ints, at_ms: int) -> None:
    for shop, count in enumerate(counts.tolist()):
        if count:
            counter.add(names[shop], at_ms, count)


def _pass(
    trained: Trained, days: Iterator[Ints], seed: int, step: int
) -> Iterator[tuple[int, tuple[ArrivalReading, ...]]]:
    """Let time pass: minutes since the beginning, and the shops' readings then.

    The latest order of a minute comes at the largest of as many uniform instants.
    """
    names = _names(trained.crowd)
    draw = np.random.default_rng(seed + 2)
    start_ms, minute = trained.now_ms, 0
    for day in days:
        places = draw.random(day.shape) ** (1.0 / np.maximum(day, 1))
        instants = (places * MINUTE_MS).astype(np.int64).tolist()
        for index, counts in enumerate(day.tolist()):
            at_ms = start_ms + minute * MINUTE_MS
            for name, count, offset in zip(names, counts, instants[index], strict=True):
                if count:
                    trained.counter.add(name, at_ms + min(offset, MINUTE_MS - 1), count)
            minute += 1
            if minute % step == 0:
                now_ms = start_ms + minute * MINUTE_MS
                if minute % 60 == 0:
                    trained.arrivals.learn(trained.counter, now_ms)
                readings = trained.arrivals.evaluate(trained.counter, now_ms)
                yield minute, tuple(one for one in readings if one.source != SHOP)


assert DAY_MS == MINUTES_OF_DAY * MINUTE_MS
