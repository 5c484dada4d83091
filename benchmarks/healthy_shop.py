"""Healthy shops on a real week's curve, of whose orders a known share is late, and no more.

Delays are those of `benchmarks/shop.py` below the promise; a share of the orders is stuck for 30 to
120 minutes instead, as in any shop where now and then a buyer's account needs a second look.
"""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from benchmarks import shop
from benchmarks.arrival_curve import SHOP_WEEK, minute_rates
from monitor.core.signals.arrays import BoolArray, FloatArray, IntArray
from monitor.core.signals.observation import COLUMNS, Kind, Names, Observation, observation
from monitor.model.times import DAY_MS, MINUTE_MS

PROMISE_MS = 3 * MINUTE_MS
STUCK_MS = (30 * MINUTE_MS, 120 * MINUTE_MS)
NAMES = Names(("auto",), ("shop",), ("pay",), ("sku",))

_TYPES: dict[str, type[np.generic]] = {
    "kind": np.int8, "channel": np.int16, "source": np.int16, "provider": np.int16,
    "sku": np.int16, "is_held": np.bool_, "is_unconfirmed": np.bool_,
}  # fmt: skip


class Orders(msgspec.Struct, frozen=True, eq=False):
    """Orders by the time of payment; all are delivered in the end. Shapes: int64[n]."""

    paid_ms: IntArray
    end_ms: IntArray

    @property
    def is_late(self) -> BoolArray:
        """Orders that break the promise."""
        return np.asarray(self.end_ms > self.paid_ms + PROMISE_MS)

    @property
    def judged_ms(self) -> IntArray:
        """When the verdict is known: at the delivery, or when the promise breaks."""
        return np.minimum(self.end_ms, self.paid_ms + PROMISE_MS)


def month(
    rng: np.random.Generator,
    per_day: float,
    days: int = 30,
    *,
    late_share: float = 0.005,
    is_flat: bool = False,
) -> Orders:
    """Poisson arrivals on a real shop's week (or at one flat rate), a share of the orders stuck."""
    paid = _arrivals(rng, per_day, days, is_flat=is_flat)
    return Orders(paid, paid + delays_ms(rng, len(paid), late_share))


def delays_ms(rng: np.random.Generator, n: int, late_share: float) -> IntArray:
    """Delays of which exactly a share, in expectation, is longer than the promise."""
    usual = shop.delays_ms(rng, 2 * n + 100)
    usual = usual[usual <= PROMISE_MS][:n]
    stuck = rng.integers(*STUCK_MS, n)
    return np.where(rng.random(n) < late_share, stuck, usual)


def _arrivals(rng: np.random.Generator, per_day: float, days: int, *, is_flat: bool) -> IntArray:
    minutes = days * 1_440
    rates: FloatArray = np.ones(minutes)
    if not is_flat:
        rates = np.resize(minute_rates(SHOP_WEEK), minutes)
    counts = rng.poisson(rates * per_day / 1_440)
    minute = np.repeat(np.arange(minutes), counts)
    at_ms = minute * MINUTE_MS + rng.integers(0, MINUTE_MS, len(minute))
    return np.sort(shop.START_MS + at_ms)


def rows_at(orders: Orders, now_ms: int, *, reach_ms: int = DAY_MS // 4) -> Observation:
    """What the product's table would hold at an instant: orders paid by then, as known then.

    Orders judged and ended longer ago than `reach_ms` have left, as they leave memory.
    """
    first, behind = np.searchsorted(orders.paid_ms, [now_ms - reach_ms - STUCK_MS[1], now_ms + 1])
    part = slice(int(first), int(behind))
    paid, end, judged = orders.paid_ms[part], orders.end_ms[part], orders.judged_ms[part]
    kept = (end > now_ms - reach_ms) | (judged > now_ms - reach_ms)
    paid, end, late = paid[kept], end[kept], orders.is_late[part][kept]
    has_ended, deadline = end <= now_ms, paid + PROMISE_MS
    known: dict[str, npt.NDArray[np.generic]] = {
        "paid_ms": paid,
        "deadline_ms": deadline,
        "end_ms": np.where(has_ended, end, 0),
        "breach_ms": np.where(late & (deadline <= now_ms), deadline, 0),
        "key": np.arange(len(paid)),
        "kind": np.where(has_ended, Kind.DELIVERED, Kind.OPEN).astype(np.int8),
    }
    nothing = {name: np.zeros(len(paid), _TYPES.get(name, np.int64)) for name in COLUMNS}
    return observation({**nothing, **known}, NAMES)
