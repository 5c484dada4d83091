"""Missing orders and missing payment callbacks: how seldom a false word, how soon a true one.

Arrivals follow a real shop's week (`arrival_curve.py`), thinned to four volumes, each day and half
hour multiplied by a gamma factor. Falls begin at any minute of a week, or as likely as an order
does: at night a shop of 50 orders a day expects one in hours, and nobody can tell silence from sleep.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np

from benchmarks.arrival_curve import Crowd, Floats
from benchmarks.arrival_sim import fall_delays, false_alarms, ideal_delays, onsets_in, train
from benchmarks.callback_sim import Checkout, drought, watch
from benchmarks.row import Row

GROUP = "arrivals"
SHOPS = 40
PARTIAL = 0.4


class Volume(msgspec.Struct, frozen=True):
    """Orders a day, what must be reached there, and how finely it is looked at."""

    orders_per_day: int
    outage_min: float
    seen_share: float
    step_min: int
    healthy_days: int
    onset_days: int


VOLUMES = (
    Volume(50, 400.0, 0.8, 5, 30, 7),
    Volume(200, 180.0, 1.0, 5, 30, 7),
    Volume(1_000, 60.0, 1.0, 3, 30, 7),
    Volume(10_000, 10.0, 1.0, 1, 15, 2),
)


def rows(scale: float) -> Iterator[Row]:
    """The table of `make bench`; below 1.0 fewer shops and days."""
    shops = max(8, round(SHOPS * scale))
    for seed, volume in enumerate(VOLUMES):
        yield from _healthy(volume, shops, scale, 100 + seed)
        yield from _falls(volume, shops, 200 + seed)
    yield from _callbacks(scale)


def _healthy(volume: Volume, shops: int, scale: float, seed: int) -> Iterator[Row]:
    days = max(7, round(volume.healthy_days * scale))
    trained = train(Crowd(shops, volume.orders_per_day), seed)
    alarms = false_alarms(trained, days, seed + 50, volume.step_min)
    yield Row(
        GROUP,
        f"false alarms, {volume.orders_per_day}/day",
        float(alarms.sum()) / shops * 30.0 / days,
        "per 30 d",
        0.25,
        "lower",
        f"{shops} shops x {days} d, looked at every {volume.step_min} min, {alarms.sum()} alarms",
    )


def _falls(volume: Volume, shops: int, seed: int) -> Iterator[Row]:
    """One pass over three crowds: outages at any minute, outages at orders, partial falls."""
    crowd = Crowd(3 * shops, volume.orders_per_day)
    third = msgspec.structs.replace(crowd, shops=shops)
    any_time = onsets_in(third, volume.onset_days, seed, at_orders=False)
    at_orders = onsets_in(third, volume.onset_days, seed, at_orders=True)
    falls = onsets_in(third, volume.onset_days, seed + 1, at_orders=False)
    onsets = np.concatenate((any_time, at_orders, falls))
    remaining = np.repeat([0.0, 0.0, PARTIAL], shops)
    delays = fall_delays(train(crowd, seed), remaining, onsets, seed + 50, volume.step_min)
    name = f"{volume.orders_per_day}/day"
    for story, first, begun in (
        ("at any minute", 0, any_time),
        ("as likely as an order", shops, at_orders),
    ):
        p50, p90 = _quantiles(delays[first : first + shops])
        _, ideal = _quantiles(ideal_delays(third, begun, seed))
        note = f"{shops} outages that begin {story}; p50 {p50:.0f}; rate known exactly: {ideal:.0f}"
        yield Row(
            GROUP, f"outage p90, {name}, {story}", p90, "min", volume.outage_min, "lower", note
        )
    partial = delays[2 * shops :]
    p50, p90 = _quantiles(partial)
    yield Row(
        GROUP,
        f"60 % fall seen in 24 h, {name}",
        float(np.isfinite(partial).mean()),
        "share",
        volume.seen_share,
        "higher",
        f"{shops} falls at any minute; p50 {p50:.0f} min, p90 {p90:.0f} min",
    )


def _callbacks(scale: float) -> Iterator[Row]:
    checkout = Checkout()
    days, droughts = max(2, round(30 * scale)), max(9, round(45 * scale))
    watched, alarms = watch(checkout, 24 * (days + 1), 300, judged_from=24)
    yield Row(
        "callbacks",
        "false alarms, 10 orders/min, 3 providers, 40 % abandoned",
        float(sum(alarms.values())),
        f"in {days} d",
        0.0,
        "lower",
        "looked at every minute, after one day of learning",
    )
    named = [
        (*drought(watched, checkout, checkout.providers[turn % 3], 400 + turn), turn % 3)
        for turn in range(droughts)
    ]
    right = [whom == (checkout.providers[dead],) for _, whom, dead in named]
    p50, p90 = _quantiles(np.array([delay for delay, _, _ in named]))
    yield Row(
        "callbacks",
        "one provider's callbacks stop, p90 to its name",
        p90,
        "min",
        10.0,
        "lower",
        f"{droughts} droughts, p50 {p50:.1f} min, looked at every 15 s",
    )
    yield Row(
        "callbacks", "the right provider is named", float(np.mean(right)), "share", 1.0, "higher"
    )


def _quantiles(delays: Floats) -> tuple[float, float]:
    """Median and 90th percentile, of those that were ever seen: an unseen one is infinite."""
    p50, p90 = np.quantile(delays, [0.5, 0.9], method="higher")
    return float(p50), float(p90)
