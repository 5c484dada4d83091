"""Synthetic shops: when orders were paid and when they would be delivered, from one seed.

The delay law is that of the statistics chapter: 98.5 % lognormal(median 8 s, σ 0.8) and 1.5 %
lognormal(median 90 s, σ 1.0); mean 13 s, p95 33 s, 0.37 % later than three minutes.
"""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from monitor.core.signals.arrays import BoolArray, FloatArray, IntArray
from monitor.core.signals.ledger import Waits
from monitor.model.times import MINUTE_MS

START_MS = 1_767_571_200_000  # Monday 2026-01-05 00:00 UTC
NEVER_MS = 1 << 62
BLOCK_MS = 10 * MINUTE_MS

_STRAGGLERS = 0.015


class Orders(msgspec.Struct, frozen=True, eq=False):
    """Orders of a healthy shop. Shapes: int64[n]; `run` is the repetition or channel of an order."""

    paid_ms: IntArray
    delivered_ms: IntArray
    run: IntArray


def delays_ms(rng: np.random.Generator, n: int) -> IntArray:
    """Delays of n orders by the law of this module."""
    usual = np.log(8.0) + 0.8 * rng.standard_normal(n)
    slow = np.log(90.0) + rng.standard_normal(n)
    is_slow = rng.random(n) < _STRAGGLERS
    delays: FloatArray = 1000.0 * np.exp(np.where(is_slow, slow, usual))
    return np.rint(delays).astype(np.int64)


def healthy(
    rng: np.random.Generator,
    per_minute: float,
    span_ms: int,
    *,
    runs: int = 1,
    start_ms: int = START_MS,
    block_sigma: float = 0.0,
) -> Orders:
    """Poisson arrivals at a rate in each of several runs, over a span that begins at `start_ms`.

    `block_sigma` multiplies all delays of ten minutes by one lognormal factor: real shops have
    good and bad quarters of an hour that no baseline knows of.
    """
    n = rng.poisson(per_minute * span_ms / MINUTE_MS, runs)
    run = np.repeat(np.arange(runs), n)
    paid = start_ms + rng.integers(0, span_ms, len(run))
    delays = delays_ms(rng, len(run))
    if block_sigma:
        n_blocks = span_ms // BLOCK_MS + 1
        factors: FloatArray = np.exp(block_sigma * rng.standard_normal(runs * n_blocks))
        delays = np.rint(delays * factors[run * n_blocks + (paid - start_ms) // BLOCK_MS])
    return Orders(paid, paid + delays.astype(np.int64), run)


def with_canaries(
    rng: np.random.Generator, orders: Orders, every_ms: int, span_ms: int, runs: int
) -> Orders:
    """Add one synthetic order per interval and run, delivered as the others are."""
    count = span_ms // every_ms
    phase = rng.integers(0, every_ms, runs)
    paid = (START_MS + np.arange(count) * every_ms + phase[:, None]).ravel()
    run = np.repeat(np.arange(runs), count)
    return Orders(
        np.concatenate([orders.paid_ms, paid]),
        np.concatenate([orders.delivered_ms, paid + delays_ms(rng, len(paid))]),
        np.concatenate([orders.run, run]),
    )


def broken(
    orders: Orders,
    faults_ms: IntArray,
    is_hit: npt.NDArray[np.bool_] | None = None,
    *,
    is_total: bool,
) -> Waits:
    """The waits if from each run's fault on no delivery succeeds of the orders hit (None: of all).

    Shapes: int64[runs], bool[n]. A total outage also stops deliveries under way; otherwise only orders paid from then on hang.
    """
    since = orders.delivered_ms if is_total else orders.paid_ms
    stuck: BoolArray = since >= faults_ms[orders.run]
    if is_hit is not None:
        stuck &= is_hit
    return Waits(orders.paid_ms, np.where(stuck, NEVER_MS, orders.delivered_ms), ~stuck, orders.run)


def waits(orders: Orders) -> Waits:
    """The waits of a shop in health."""
    return Waits(
        orders.paid_ms, orders.delivered_ms, np.ones(len(orders.run), np.bool_), orders.run
    )
