"""The delivery health index: 100 minus the mean loss of the orders in scope, as a percentage.

An order loses nothing up to 60 s, half at 5 min, all from 30 min on, linear in ln age between; one
that failed, was refunded or cancelled before delivery loses all. Orders in flight count from 60 s
on, so in an outage the index falls by itself; younger ones are undecided and weigh nothing.

Losses are rounded once, per order, to units of 1e-9 and added as integers: components, scopes and
shards add up bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

from monitor.core.signals.arrays import FloatArray, IntArray
from monitor.core.signals.evidence import wilson_interval

Anchors = tuple[tuple[int, float], tuple[int, float], tuple[int, float]]
ANCHORS: Anchors = ((60_000, 0.0), (300_000, 0.5), (1_800_000, 1.0))
"""(age in ms, loss): from the first on orders in flight weigh, the others border L2 and L3."""

COMPONENTS = (
    "late_delivered_l1",
    "late_delivered_l2",
    "late_delivered_l3",
    "pending_l1",
    "pending_l2",
    "pending_l3",
    "failed",
    "refunded",
    "cancelled",
)

UNITS = 1_000_000_000
"""Fixed-point units of a whole loss."""

State = Literal["ok", "low_data", "idle", "undecided"]

ENOUGH = 5
"""Fewer orders that weigh say little: the state is `low_data`, and no rule goes by the index."""


class HealthSums(msgspec.Struct, frozen=True):
    """Losses by component in units of 1e-9, and how many orders weigh (`n`) or are undecided.

    L1, L2, L3 are ages below 5 min, up to and with 30 min, and above.
    """

    late_delivered_l1: int = 0
    late_delivered_l2: int = 0
    late_delivered_l3: int = 0
    pending_l1: int = 0
    pending_l2: int = 0
    pending_l3: int = 0
    failed: int = 0
    refunded: int = 0
    cancelled: int = 0
    n: int = 0
    n_undecided: int = 0


class HealthIndex(msgspec.Struct, frozen=True):
    """The index with its reasons; `components` are points lost and add up to 100 - value.

    `value` and `band` are None when nothing weighs, and `state` says why: `idle` (nothing in
    flight) or `undecided` (only young orders). Below 5 orders the state is `low_data`.
    """

    value: float | None
    state: State
    components: dict[str, float]
    n: int
    band: tuple[float, float] | None


def loss(age_ms: IntArray, anchors: Anchors = ANCHORS) -> FloatArray:
    """Loss in 0..1 of an order delivered at, or waiting since, each age; int64[n] → float64[n]."""
    ages, losses = zip(*anchors, strict=True)
    inside = np.clip(np.asarray(age_ms, dtype=np.float64), ages[0], ages[-1])
    return np.interp(np.log(inside), np.log(ages), losses)


def health_sums(
    delivered_delays_ms: IntArray,
    open_ages_ms: IntArray,
    n_failed: int,
    n_refunded: int,
    n_cancelled: int,
    anchors: Anchors = ANCHORS,
) -> HealthSums:
    """Losses of one shard or scope.

    Shapes: int64[d] delays of the delivered orders of the window, int64[o] ages of *all* orders in
    flight; counts are of orders closed undelivered in the window.
    """
    delivered = np.asarray(delivered_delays_ms, dtype=np.int64)
    waiting = np.asarray(open_ages_ms, dtype=np.int64)
    decided = waiting[waiting >= anchors[0][0]]
    failed, refunded, cancelled = (max(0, count) for count in (n_failed, n_refunded, n_cancelled))
    late = _loss_by_tier(delivered, anchors)
    pending = _loss_by_tier(decided, anchors)
    return HealthSums(
        late_delivered_l1=late[0],
        late_delivered_l2=late[1],
        late_delivered_l3=late[2],
        pending_l1=pending[0],
        pending_l2=pending[1],
        pending_l3=pending[2],
        failed=failed * UNITS,
        refunded=refunded * UNITS,
        cancelled=cancelled * UNITS,
        n=delivered.size + decided.size + failed + refunded + cancelled,
        n_undecided=waiting.size - decided.size,
    )


def merge_health_sums(parts: Sequence[HealthSums]) -> HealthSums:
    """Add the sums of disjoint orders; exact, in any order, all zero for none."""
    names = HealthSums.__struct_fields__
    return HealthSums(**{name: sum(getattr(part, name) for part in parts) for name in names})


def health_from_sums(sums: HealthSums) -> HealthIndex:
    """Read the index off the sums, with a 99 % Wilson band."""
    losses = {name: int(getattr(sums, name)) for name in COMPONENTS}
    if sums.n <= 0:
        state: State = "undecided" if sums.n_undecided > 0 else "idle"
        return HealthIndex(None, state, dict.fromkeys(COMPONENTS, 0.0), 0, None)
    whole = sums.n * UNITS
    lost = sum(losses.values())
    low, high = wilson_interval(lost / UNITS, sums.n)
    return HealthIndex(
        value=points(sums.n, lost),
        state="ok" if sums.n >= ENOUGH else "low_data",
        components={name: 100 * units / whole for name, units in losses.items()},
        n=sums.n,
        band=(100.0 * (1.0 - high), 100.0 * (1.0 - low)),
    )


def points(n: int, lost: int) -> float:
    """100 minus the mean loss of n > 0 orders in percent, from their losses in units."""
    whole = n * UNITS
    # One division of integers: rounded once, never below 0 or above 100. As floats `100 * whole`
    # would round before.
    return 100 * (whole - lost) / whole


def health_index(
    delivered_delays_ms: IntArray,
    open_ages_ms: IntArray,
    n_failed: int,
    n_refunded: int,
    n_cancelled: int,
) -> HealthIndex:
    """The index of one scope in one place; see `health_sums`."""
    return health_from_sums(
        health_sums(delivered_delays_ms, open_ages_ms, n_failed, n_refunded, n_cancelled)
    )


def _loss_by_tier(ages_ms: IntArray, anchors: Anchors) -> tuple[int, int, int]:
    """Loss in units of the orders below 5 min, up to 30 min, and above."""
    units = np.rint(loss(ages_ms, anchors) * UNITS).astype(np.int64)
    is_l1 = ages_ms < anchors[1][0]
    is_l3 = ages_ms > anchors[2][0]
    l1, l3 = int(units[is_l1].sum()), int(units[is_l3].sum())
    return l1, int(units.sum()) - l1 - l3, l3
