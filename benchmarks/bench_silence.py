"""Silent shops: how seldom a healthy one is called silent at night, how soon a dead emitter is.

Arrivals follow a real shop's week, each day and half hour multiplied by a gamma factor
(`arrival_curve.py`); every delivery is a word too. No heartbeat is configured. Five weeks are
learned. The comparison is the same source with one rate for day and night.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np

from benchmarks import shop
from benchmarks.arrival_curve import Crowd, Floats, Ints, days_of_arrivals
from benchmarks.row import Row
from monitor.core.orders.sources import SILENCE_FLOOR_MS, Source
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS

GROUP = "silence"
START_MS = 1_767_571_200_000  # Monday 2026-01-05 00:00 UTC
LEARNED_DAYS = 35
MONTH_DAYS = 30
DAY_HOURS = (9, 21)
SEED = 700
# Orders a day, and shops watched for a month each at scale 1.0.
VOLUMES = ((50, 40), (200, 30), (1_000, 20), (10_000, 10))
_DEATHS = 30
_NEVER_MIN = 14 * 1_440.0


class Night(msgspec.Struct, frozen=True, eq=False):
    """What one shop's month told; the second of two is what one rate for all hours would say.

    `spells` in health after learning; `young` while learning; `minutes` float64[2, deaths] from the
    emitter's death at `deaths_ms` to its being called silent.
    """

    spells: tuple[int, int]
    young: tuple[int, int]
    deaths_ms: Ints
    minutes: Floats


def words(per_day: float, days: int, seed: int) -> tuple[Ints, Ints]:
    """When a shop says something, and whether that is a new order; shapes int64[n]."""
    counts = np.concatenate(list(days_of_arrivals(Crowd(1, per_day), days, seed)))[:, 0]
    rng = np.random.default_rng((seed, 1))
    minute = np.repeat(np.arange(len(counts)), counts)
    paid = START_MS + minute * MINUTE_MS + rng.integers(0, MINUTE_MS, len(minute))
    said = np.concatenate([paid, paid + shop.delays_ms(rng, len(paid))])
    order = np.argsort(said, kind="stable")
    return said[order], (order < len(paid)).astype(np.int64)


def month(per_day: float, seed: int, days: int = MONTH_DAYS, deaths: int = _DEATHS) -> Night:
    """Weeks of learning, then days in health in which an emitter may die at any minute."""
    said, is_order = words(per_day, LEARNED_DAYS + days, seed)
    begin_ms = START_MS + LEARNED_DAYS * DAY_MS
    rng = np.random.default_rng((seed, 2))
    deaths_ms = np.sort(begin_ms + rng.integers(0, (days - 1) * DAY_MS, deaths))
    last_words = np.searchsorted(said, deaths_ms) - 1
    dying = frozenset(last_words.tolist())
    source = Source("shop", int(said[0]), int(said[0]))
    spells = np.zeros((2, 2), np.int64)
    after: dict[int, tuple[float, float]] = {}
    for index, (at_ms, count) in enumerate(zip(said.tolist(), is_order.tolist(), strict=True)):
        if at_ms - source.last_ms > SILENCE_FLOOR_MS:
            spells[int(at_ms > begin_ms)] += [at_ms > end_ms for end_ms in _ends(source)]
        source.hear(at_ms)
        if count:
            source.count_order(at_ms)
        if index in dying:
            after[index] = _ends(source)
    ends = np.array([after[index] for index in last_words.tolist()]).T
    minutes: Floats = np.minimum(np.maximum(ends + 1 - deaths_ms, 0) / MINUTE_MS, _NEVER_MIN)
    young, old = ((int(one), int(flat)) for one, flat in spells)
    return Night(old, young, deaths_ms, minutes)


def _ends(source: Source) -> tuple[float, float]:
    """Up to when its silence is normal: by its own week, and by one rate for all hours."""
    flat = msgspec.structs.replace(source, week=[])
    ends = (source.silent_after_ms(), flat.silent_after_ms())
    own, one_rate = (np.inf if end_ms is None else float(end_ms) for end_ms in ends)
    return own, one_rate


def is_by_day(at_ms: Ints) -> Ints:
    """Which instants lie between nine and twenty-one o'clock."""
    hour = at_ms // HOUR_MS % 24
    return np.flatnonzero((hour >= DAY_HOURS[0]) & (hour < DAY_HOURS[1]))


def rows(scale: float) -> Iterator[Row]:
    """All figures; scale 1.0 takes about three minutes."""
    for number, (per_day, full) in enumerate(VOLUMES):
        shops = max(2, round(full * scale))
        nights = [month(per_day, SEED + 1_000 * number + one) for one in range(shops)]
        yield from _false_rows(per_day, nights)
        yield from _death_rows(per_day, nights)


def _false_rows(per_day: int, nights: list[Night]) -> Iterator[Row]:
    own, flat = np.sum([night.spells for night in nights], axis=0) / len(nights)
    note = f"{len(nights)} shops x {MONTH_DAYS} d after {LEARNED_DAYS}; with one rate {flat:.1f}"
    what = f"false SourceSilent at {per_day:,} orders a day"
    yield Row(GROUP, what, float(own), "per 30 d", 0.25, "lower", note)
    own, flat = np.sum([night.young for night in nights], axis=0) / len(nights)
    what = f"false SourceSilent in the first {LEARNED_DAYS} days, {per_day:,} a day"
    yield Row(GROUP, what, float(own), "", note=f"per shop; with one rate {flat:.1f}")


def _death_rows(per_day: int, nights: list[Night]) -> Iterator[Row]:
    minutes = np.concatenate([night.minutes for night in nights], axis=1)
    by_day = is_by_day(np.concatenate([night.deaths_ms for night in nights]))
    for when, chosen in (("9 to 21 h", minutes[:, by_day]), ("at any minute", minutes)):
        own, flat = np.quantile(chosen, [0.5, 0.9], axis=1, method="higher").T
        note = f"{chosen.shape[1]} emitters; p90 {own[1]:.0f}; with one rate {flat[0]:.0f}, p90 {flat[1]:.0f}"
        what = f"dead emitter, {per_day:,} a day, {when}, median"
        row = Row(GROUP, what, float(own[0]), "min", note=note)
        if when.startswith("9"):
            row = msgspec.structs.replace(row, target=float(flat[0]), better="lower")
        yield row
