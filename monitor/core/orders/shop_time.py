"""Time as a shop lives it: it runs fast at noon and nearly stands still at four in the morning.

The orders of each local hour of the week are counted (two to four weeks, older ones fade by half).
An hour with few orders leans on the same hour of other days times its day's level, that hour on the
average hour. So a shop that is watched since this morning has the flat time of the clock.

Shares are whole 1024ths of the average hour, straight between the middles of hours in quarters:
equal counts give equal instants on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monitor.core.signals.calendar import Offsets, hour_of_week, hours_of_week
from monitor.model.times import HOUR_MS

HOURS = 168
MEMORY_H = 4 * HOURS
"""Whole weeks, so that halving takes from every hour of the week alike."""

UNIT = 1_024
ORDER = 16
"""What one order counts: halves of few orders are not lost."""

FLAT = (UNIT,) * HOURS

# Prior pseudo-orders, as in `signals/season.py`: how far a clock hour may lie from the mean hour, a
# day's level from 1, an hour of the week from hour x day.
_HOUR_SHAPE, _DAY_SHAPE, _CELL_SHAPE = 2.0, 10.0, 10.0
_LEARNED_H = 72
_LOWER = 0.9
"""After three days the lower bound of an hour: hours alike bring orders that vary by 10 to 14 %."""

_QUARTER_MS = HOUR_MS // 4
# Weights of the hour before, of the hour itself and of the hour after, in each quarter.
_QUARTERS = ((3, 5, 0), (1, 7, 0), (0, 7, 1), (0, 5, 3))
_WEIGHTS = 8


def fold_hour(week: list[int], since_hour: int, hour: int, orders: int, offsets: Offsets) -> int:
    """Add the orders of an hour that is over (UTC, time ÷ 1 h); returns since when `week` counts.

    Hours are folded in their order; in those left out nothing came.
    """
    if hour < since_hour:  # it was not watched from its beginning
        return since_hour
    if not week:
        week.extend([0] * HOURS)
    while hour - since_hour >= MEMORY_H:
        since_hour += MEMORY_H // 2
        for place in range(HOURS):
            week[place] //= 2
    week[hour_of_week(hour * HOUR_MS, offsets)] += ORDER * orders
    return since_hour


def shares(
    week: Sequence[int], since_hour: int, until_hour: int, offsets: Offsets
) -> tuple[int, ...]:
    """What each local hour of the week brings at least, in 1024ths of the average watched hour.

    Shapes: 168 → 168, all at least 1. `until_hour`: the first that is not over.
    """
    if not week or until_hour <= since_hour:
        return FLAT
    starts = np.arange(since_hour, until_hour, dtype=np.int64) * HOUR_MS
    watched = np.bincount(hours_of_week(starts, offsets), minlength=HOURS).tolist()
    total = sum(week)
    if not total:
        return FLAT
    mean = total / ORDER / len(starts)
    hourly = []
    for hour in range(24):
        came = sum(week[hour::24]) / ORDER
        hourly.append((came + _HOUR_SHAPE) / (sum(watched[hour::24]) + _HOUR_SHAPE / mean))
    rates = []
    for first_of_day in range(0, HOURS, 24):
        day = slice(first_of_day, first_of_day + 24)
        wanted = 0.0
        for hours, rate in zip(watched[day], hourly, strict=True):
            wanted += hours * rate
        level = (sum(week[day]) / ORDER + _DAY_SHAPE) / (wanted + _DAY_SHAPE)
        for came, hours, rate in zip(week[day], watched[day], hourly, strict=True):
            target = level * rate
            rates.append((came / ORDER + _CELL_SHAPE) / (hours + _CELL_SHAPE / target))
    weight = 0.0
    for hours, rate in zip(watched, rates, strict=True):
        weight += hours * rate
    scale = (_LOWER if len(starts) >= _LEARNED_H else 1.0) * UNIT * len(starts) / weight
    return tuple(max(1, round(rate * scale)) for rate in rates)


def reached_ms(week: Sequence[int], from_ms: int, shop_ms: int, offsets: Offsets) -> int:
    """The first instant at which so much of the shop's time has passed since another instant.

    `week`: as `shares` returns it.
    """
    # A week is a week, but for the hour that a change of the clock adds or takes.
    weeks, left_ms = divmod(shop_ms * HOURS, sum(week) * HOUR_MS * HOURS // UNIT)
    at_ms = from_ms + weeks * HOURS * HOUR_MS
    left = left_ms * UNIT * _WEIGHTS // HOURS
    while True:
        hour_ms = at_ms // HOUR_MS * HOUR_MS
        cell = hour_of_week(hour_ms, offsets)
        before, own, after = week[cell - 1], week[cell], week[(cell + 1) % HOURS]
        for quarter in range((at_ms - hour_ms) // _QUARTER_MS, 4):
            one, two, three = _QUARTERS[quarter]
            rate = one * before + two * own + three * after
            until_ms = hour_ms + (quarter + 1) * _QUARTER_MS
            if rate * (until_ms - at_ms) >= left:
                return at_ms + -(-left // rate)
            left -= rate * (until_ms - at_ms)
            at_ms = until_ms
