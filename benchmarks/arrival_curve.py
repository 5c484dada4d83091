"""When orders come: a real shop's week, and arrivals drawn from it at any volume.

`SHOP_WEEK` was derived by `derive_week` (run this file with the path of the orders' table) from the
purchase times of 8,135 orders of a Brazilian marketplace, Olist, 2016-2018 (`order_purchase_timestamp`
of olist_orders_dataset.csv; the table itself is not part of this product). Only these 168 averages
are kept: share of an average hour, Monday 00:00 first, smoothed by 1-2-1 over neighbouring hours.
Its nights are deep: between 3 and 5 o'clock one order comes where 25 come in the average hour.

Real arrivals are not Poisson around such a curve. Each day and each half hour draws a factor from a
gamma distribution. City taxi calls, the steadiest public series, vary by 4 % between equal days and
7 % between equal half hours (NAB nyc_taxi, six calm weeks of 2014); a shop is given more.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

HOURS = 168
MINUTES_OF_DAY = 1_440
DAY_VARIATION = 0.08
BLOCK_VARIATION = 0.10
_BLOCK_MINUTES = 30

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# fmt: off
SHOP_WEEK: tuple[float, ...] = (
    0.563, 0.274, 0.114, 0.062, 0.026, 0.052, 0.165, 0.392, 0.821, 1.384, 1.730, 1.735,
    1.693, 1.730, 1.714, 1.688, 1.776, 1.812, 1.755, 1.771, 1.838, 1.807, 1.606, 1.131,
    0.547, 0.248, 0.134, 0.052, 0.026, 0.041, 0.134, 0.356, 0.728, 1.229, 1.652, 1.817,
    1.833, 1.776, 1.740, 1.678, 1.575, 1.616, 1.621, 1.657, 1.766, 1.668, 1.451, 1.131,
    0.743, 0.387, 0.124, 0.046, 0.062, 0.083, 0.150, 0.423, 0.955, 1.456, 1.724, 1.735,
    1.647, 1.611, 1.508, 1.513, 1.611, 1.580, 1.487, 1.389, 1.482, 1.616, 1.384, 0.965,
    0.589, 0.294, 0.129, 0.057, 0.041, 0.077, 0.207, 0.382, 0.723, 1.286, 1.657, 1.807,
    1.884, 1.714, 1.554, 1.693, 1.802, 1.626, 1.430, 1.440, 1.466, 1.409, 1.270, 0.971,
    0.645, 0.367, 0.181, 0.098, 0.057, 0.072, 0.207, 0.485, 0.800, 1.224, 1.642, 1.693,
    1.570, 1.544, 1.544, 1.564, 1.497, 1.337, 1.358, 1.435, 1.378, 1.311, 1.177, 0.852,
    0.552, 0.403, 0.227, 0.088, 0.046, 0.052, 0.103, 0.196, 0.423, 0.785, 1.126, 1.311,
    1.322, 1.311, 1.332, 1.296, 1.224, 1.151, 1.146, 1.213, 1.131, 0.914, 0.816, 0.759,
    0.552, 0.268, 0.129, 0.108, 0.072, 0.077, 0.129, 0.176, 0.284, 0.547, 0.831, 1.048,
    1.177, 1.182, 1.239, 1.337, 1.353, 1.373, 1.435, 1.456, 1.456, 1.409, 1.203, 0.888,
)
# fmt: on


class Crowd(msgspec.Struct, frozen=True):
    """Many shops alike: how many, how many orders a day, how much their rate varies (CV)."""

    shops: int
    orders_per_day: float
    day_variation: float = DAY_VARIATION
    block_variation: float = BLOCK_VARIATION
    week: tuple[float, ...] = SHOP_WEEK


def derive_week(orders: Path) -> tuple[float, ...]:
    """The 168 numbers, from a table with a column `order_purchase_timestamp`."""
    counts = np.zeros(HOURS)
    with orders.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            at = datetime.fromisoformat(row["order_purchase_timestamp"])
            counts[at.weekday() * 24 + at.hour] += 1
    smooth = (np.roll(counts, 1) + 2.0 * counts + np.roll(counts, -1)) / 4.0
    return tuple(np.round(smooth / smooth.mean(), 3).tolist())


def minute_rates(week: tuple[float, ...]) -> Floats:
    """Share of the average minute for each of the week's 10,080; straight between hours' middles."""
    hours = np.asarray(week) / np.mean(week)
    middles = np.arange(-1, HOURS + 1) + 0.5
    wrapped = np.concatenate((hours[-1:], hours, hours[:1]))
    rates = np.interp((np.arange(HOURS * 60) + 0.5) / 60.0, middles, wrapped)
    scaled: Floats = rates / rates.mean()
    return scaled


def days_of_arrivals(crowd: Crowd, days: int, seed: int) -> Iterator[Ints]:
    """Orders per minute, a day at a time, from a Monday on; shapes int64[1440, shops]."""
    draw = np.random.default_rng(seed)
    rates = (
        minute_rates(crowd.week).reshape(7, MINUTES_OF_DAY) * crowd.orders_per_day / MINUTES_OF_DAY
    )
    blocks = MINUTES_OF_DAY // _BLOCK_MINUTES
    for day in range(days):
        of_day = _gamma(draw, crowd.day_variation, (1, crowd.shops))
        of_block = _gamma(draw, crowd.block_variation, (blocks, crowd.shops))
        factors = of_day * np.repeat(of_block, _BLOCK_MINUTES, axis=0)
        yield draw.poisson(rates[day % 7][:, None] * factors).astype(np.int64)


def _gamma(draw: np.random.Generator, variation: float, shape: tuple[int, int]) -> Floats:
    """Factors of mean 1 and this coefficient of variation."""
    if variation <= 0.0:
        return np.ones(shape)
    factors: Floats = draw.gamma(variation**-2, variation**2, shape)
    return factors


if __name__ == "__main__":
    for start in range(0, HOURS, 12):
        numbers = derive_week(Path(sys.argv[1]))[start : start + 12]
        print("    " + ", ".join(f"{number:.3f}" for number in numbers) + ",")
