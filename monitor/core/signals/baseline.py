"""Learning what is normal for a channel, hour by hour, without keeping the hours.

A baseline is a histogram of delays after the speed of their hour of the week was taken out, and the
speed of each of the 168 hours, shrunk by n / (n + 20) because most hours have few orders. Learning
adds the complete hours since the last time and lets older ones fade with a half-life of 28 days.
Hours of incidents are left out, and so is the latest hour: an outage must not teach that slow is
normal before the alarm had time to say that it is one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monitor.core.signals.arrays import IntArray
from monitor.core.signals.calendar import Offsets, hour_of_week
from monitor.core.signals.cusum import PEAK_FACTOR, limit_of
from monitor.core.signals.drift import Settled, median_bucket, shifted
from monitor.core.signals.hazard import SHIFT_MAX
from monitor.core.signals.histogram import BUCKETS
from monitor.core.signals.paces import Hour, Paces
from monitor.model.baselines import HOURS, Baseline
from monitor.model.times import DAY_MS, HOUR_MS

FIRST_FROM = 20
"""Orders needed for the first learning."""
EVERY_MS = DAY_MS
HALF_LIFE_MS = 28 * DAY_MS
SHRINK_ORDERS = 20
METHOD = "hour-of-week medians, 28 d half-life"
FIRST_LOOK_FROM = 50
FIRST_LOOK = "first look"
"""Made from the first orders of a channel while nothing is wrong, and replaced by the first learning."""


def learnable_until(now_ms: int) -> int:
    """Where the hours end that may be learned: the latest complete hour is left out."""
    return now_ms - now_ms % HOUR_MS - HOUR_MS


def is_preliminary(baseline: Baseline | None) -> bool:
    """Whether nothing was learned yet, or only looked at."""
    return baseline is None or baseline.method == FIRST_LOOK


def first_look(paces: Paces, channel: str, *, orders_30d: int, now_ms: int) -> Baseline | None:
    """What the first orders of a channel show; None before there are 50 of them.

    Call it only while nothing is wrong: unlike learning it does not leave the latest hour out.
    """
    if paces.count(channel, 0, now_ms + 1) < FIRST_LOOK_FROM:
        return None
    hours = paces.hours(channel, 0, now_ms + 1)
    counts = sum((hour.counts for hour in hours), np.zeros(BUCKETS, np.int64))
    never = sum(hour.never for hour in hours)
    return Baseline(
        channel=channel,
        n=int(counts.sum()) + never,
        from_ms=hours[0].hour_ms,
        to_ms=hours[0].hour_ms,  # all of them are to be learned properly
        delivered=tuple((int(b), int(counts[b])) for b in np.flatnonzero(counts)),
        never=never,
        limit=limit_of(orders_30d, 0.0),
        orders_30d=orders_30d,
        method=FIRST_LOOK,
        learned_ms=now_ms,
    )


def is_due(
    previous: Baseline | None,
    paces: Paces,
    channel: str,
    peak: float,
    now_ms: int,
    *,
    is_disputed: bool = False,
) -> bool:
    """Whether to learn now: 20 orders are new, then whenever n doubled, and once a day.

    Also when health was seen to reach higher than the limit allows for: the limit must follow. And
    `is_disputed`: every hour while an alarm stands in which no promises break.
    """
    until_ms = learnable_until(now_ms)
    if is_preliminary(previous):
        return paces.count(channel, 0, until_ms) >= FIRST_FROM
    assert previous is not None
    if until_ms <= previous.to_ms:
        return False
    return (
        is_disputed
        or now_ms - previous.learned_ms >= EVERY_MS
        or PEAK_FACTOR * peak > previous.limit
        or paces.count(channel, previous.to_ms, until_ms) >= previous.n
    )


def learn(
    previous: Baseline | None,
    paces: Paces,
    channel: str,
    *,
    excluded_hours: Sequence[int],
    peak: float,
    orders_30d: int,
    offsets: Offsets,
    now_ms: int,
    news: Settled | None = None,
) -> Baseline | None:
    """Learn the hours since the last learning; None when there is nothing to learn from yet.

    `excluded_hours` are starts of hours of incidents, `peak` the chart's highest C in health. With
    `news` of a new level everything before it counts as little as the prior, and the hours since are
    learned again. Deterministic; hours may have been counted in any order.
    """
    until_ms = learnable_until(now_ms)
    previous = None if is_preliminary(previous) else previous
    from_ms = previous.to_ms if previous else 0
    from_ms = min(from_ms, news.since_ms - news.since_ms % HOUR_MS) if news else from_ms
    if until_ms <= from_ms:
        return None
    hours = paces.hours(channel, from_ms, until_ms)
    skipped = dict.fromkeys(excluded_hours)
    kept = [hour for hour in hours if hour.hour_ms not in skipped]
    n_new = sum(int(hour.counts.sum()) + hour.never for hour in kept)
    if previous is None and n_new < FIRST_FROM:
        return None
    weight = _weight(previous, until_ms, news)
    old, shifts, hour_n = _faded(previous, weight)
    counts, shifts, hour_n = _added(old, shifts, hour_n, kept, offsets)
    never = round(previous.never * weight) if previous else 0
    never += sum(hour.never for hour in kept)
    first_ms = previous.from_ms if previous else hours[0].hour_ms
    return Baseline(
        channel=channel,
        n=int(counts.sum()) + never,
        from_ms=news.since_ms if news else first_ms,
        to_ms=until_ms,
        delivered=tuple((int(b), int(counts[b])) for b in np.flatnonzero(counts)),
        never=never,
        shifts=tuple(shifts),
        hour_n=tuple(hour_n),
        excluded_hours=(previous.excluded_hours if previous and not news else 0)
        + len(hours) - len(kept),
        limit=limit_of(orders_30d, peak),
        peak=peak,
        orders_30d=orders_30d,
        method=METHOD,
        learned_ms=now_ms,
    )  # fmt: skip


def _weight(previous: Baseline | None, until_ms: int, news: Settled | None) -> float:
    """What an order of the old history counts for now."""
    if previous is None or previous.n == 0:
        return 0.0
    weight: float = 0.5 ** (max(until_ms - previous.to_ms, 0) / HALF_LIFE_MS)
    return min(weight, SHRINK_ORDERS / previous.n) if news else weight


def _faded(previous: Baseline | None, weight: float) -> tuple[IntArray, list[int], list[int]]:
    """Old counts, shifts and orders per hour, weighted; rounded so that no order is lost in sum."""
    counts = np.zeros(BUCKETS, np.int64)
    if previous is None:
        return counts, [0] * HOURS, [0] * HOURS
    for bucket, count in previous.delivered:
        counts[bucket] += count
    reached = np.rint(np.cumsum(counts) * weight).astype(np.int64)
    shifts = list(previous.shifts) or [0] * HOURS
    hour_n = [round(n * weight) for n in previous.hour_n] or [0] * HOURS
    return np.diff(reached, prepend=0), shifts, hour_n


def _added(
    old: IntArray, shifts: list[int], hour_n: list[int], hours: Sequence[Hour], offsets: Offsets
) -> tuple[IntArray, list[int], list[int]]:
    """The old counts and the new hours', each without the speed of its hour of the week."""
    by_hour: dict[int, IntArray] = {}
    for hour in hours:
        place = hour_of_week(hour.hour_ms, offsets)
        by_hour[place] = by_hour.get(place, np.zeros(BUCKETS, np.int64)) + hour.counts
    everything = sum(
        (shifted(counts, -shifts[place]) for place, counts in sorted(by_hour.items())), old.copy()
    )
    middle = median_bucket(everything)
    shifts, hour_n = list(shifts), list(hour_n)
    total = old.copy()
    for place, counts in sorted(by_hour.items()):
        n = int(counts.sum())
        if n:
            # Shrunk sums add: s · (n + 20) is what the orders of this hour were slower in all.
            slower = shifts[place] * (hour_n[place] + SHRINK_ORDERS if hour_n[place] else 0)
            slower += (median_bucket(counts) - middle) * n
            hour_n[place] += n
            shift = round(slower / (hour_n[place] + SHRINK_ORDERS))
            shifts[place] = min(max(shift, -SHIFT_MAX), SHIFT_MAX)
        total += shifted(counts, -shifts[place])
    return total, shifts, hour_n
