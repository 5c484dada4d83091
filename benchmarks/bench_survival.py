"""Survival curves against lifelines: four shops, five sizes, the same orders in the same run."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator

import msgspec
import numpy as np
import numpy.typing as npt

from benchmarks.row import Row
from monitor.core.signals.arrays import BoolArray, FloatArray, IntArray
from monitor.core.signals.curve import SurvivalCurve
from monitor.core.signals.survival import cohort, cohort_counts, cohort_on_buckets, period

GROUP = "survival"
SCENARIOS = ("healthy", "total outage", "30 % stuck", "drift")
SIZES = (200, 1_000, 10_000, 100_000, 1_000_000)
DIFFERENCE_MAX = 0.001
SPEED_RATIO_MIN = 50.0

HOUR_MS = 3_600_000
WINDOW_MS = 300_000
SLOW_SHARE = 0.015
STUCK_SHARE = 0.3

_ROUNDS = 7


class Shop(msgspec.Struct, frozen=True, eq=False):
    """Orders paid within an hour and looked at when it ends; delays int64[n], stuck ones for ever."""

    paid_ms: IntArray
    delay_ms: IntArray

    @property
    def cohort(self) -> tuple[IntArray, BoolArray]:
        """Duration (delay, or age of those that wait) and whether it is a delay."""
        age = HOUR_MS - self.paid_ms
        return np.minimum(self.delay_ms, age), self.delay_ms <= age

    @property
    def window(self) -> tuple[IntArray, IntArray, BoolArray]:
        """Entry age, exit age and delivery of the orders alive in the last five minutes."""
        since = HOUR_MS - WINDOW_MS
        end = self.paid_ms + self.delay_ms
        entry = np.maximum(0, since - self.paid_ms)
        leave = np.minimum(end, HOUR_MS) - self.paid_ms
        is_alive = (end > since) & (leave > entry)
        return entry[is_alive], leave[is_alive], (end <= HOUR_MS)[is_alive]


def shop(scenario: str, n: int, seed: int, fault_ms: int = HOUR_MS * 3 // 4) -> Shop:
    """A synthetic shop: mostly 8 s, some 90 s; what goes wrong begins 45 min into the hour.

    Drift goes on all the hour: from a mean of one minute to four.
    """
    random = np.random.default_rng(seed)
    paid = np.sort(random.integers(0, HOUR_MS, n))
    delay = 8_000 * random.lognormal(0.0, 0.8, n)
    is_slow = random.random(n) < SLOW_SHARE
    delay[is_slow] = 90_000 * random.lognormal(0.0, 1.0, int(is_slow.sum()))
    if scenario == "drift":
        delay = 60_000 * (1 + 3 * paid / HOUR_MS) * random.lognormal(-0.15, 0.55, n)
    is_stuck = np.zeros(n, np.bool_)
    if scenario == "total outage":
        is_stuck = paid + delay > fault_ms
    elif scenario == "30 % stuck":
        is_stuck = (paid > fault_ms) & (random.random(n) < STUCK_SHARE)
    return Shop(paid, np.where(is_stuck, 10 * HOUR_MS, delay).astype(np.int64))


def product_limit(
    durations_ms: IntArray, is_delivered: BoolArray, entry_ms: IntArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """The estimate of lifelines as ages in seconds and S from each on, (0, 1) first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lifelines import KaplanMeierFitter

        fitted = KaplanMeierFitter().fit(
            durations_ms / 1000,
            is_delivered,
            entry=None if entry_ms is None else entry_ms / 1000,
        )
    steps = fitted.survival_function_["KM_estimate"]
    return steps.index.to_numpy(dtype=np.float64), steps.to_numpy(dtype=np.float64)


def largest_difference(
    found: SurvivalCurve, ages_s: FloatArray, survival: npt.NDArray[np.float64]
) -> float:
    """Largest |ΔS| at the points of our curve: every step, or every end of a bucket."""
    if not found.times_s.size:
        return float(np.max(1.0 - survival, initial=0.0))
    # Compared in whole milliseconds: a step must not fall beside itself by a rounding of seconds.
    points_ms = np.floor(found.times_s * 1000 + 1e-6)
    after = np.searchsorted(np.round(ages_s * 1000), points_ms, side="right")
    return float(np.max(np.abs(found.survival - survival[np.maximum(after - 1, 0)])))


def cohort_differences(scenario: str, n: int, seed: int) -> tuple[float, float]:
    """Largest |ΔS| over the orders of one shop: on raw milliseconds, and at the ends of buckets."""
    durations, is_delivered = shop(scenario, n, seed).cohort
    reference = product_limit(durations, is_delivered)
    on_buckets = cohort_on_buckets(cohort_counts(durations, is_delivered))
    return (
        largest_difference(cohort(durations, is_delivered), *reference),
        largest_difference(on_buckets, *reference),
    )


def period_difference(scenario: str, n: int, seed: int) -> float:
    """Largest |ΔS| of the live estimator, some n orders alive in the window, fault older than they."""
    in_all = n * HOUR_MS // WINDOW_MS
    entry, leave, is_ended = shop(scenario, in_all, seed, fault_ms=0).window
    return largest_difference(
        period(entry, leave, is_ended), *product_limit(leave, is_ended, entry)
    )


def speed_ratio(scenario: str, n: int) -> tuple[float, float]:
    """The time of lifelines over that on buckets, counting included, and the latter in ms."""
    durations, is_delivered = shop(scenario, n, 1).cohort
    ours_s: list[float] = []
    theirs_s: list[float] = []
    for _ in range(_ROUNDS):  # in turns, so that a neighbour on the machine disturbs both
        ours_s.extend(
            _timed(lambda: cohort_on_buckets(cohort_counts(durations, is_delivered)))
            for _ in range(10)
        )
        theirs_s.append(_timed(lambda: product_limit(durations, is_delivered)))
    # The shortest of several runs: what else the machine does only ever adds.
    return min(theirs_s) / min(ours_s), min(ours_s) * 1e3


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def rows(scale: float) -> Iterator[Row]:
    """Differences per shop, worst of the sizes; how often chance spoils one; speed."""
    sizes = [n for n in SIZES if n <= max(1_000, SIZES[-1] * scale)]
    upto = f"n = 200 … {sizes[-1]:,}, seed = n, worst"
    for scenario in SCENARIOS:
        found = [cohort_differences(scenario, n, seed=n) for n in sizes]
        for name, worst in zip(("exact", "on buckets"), map(max, *found), strict=True):
            what = f"cohort {name}, {scenario}: max |ΔS|"
            yield Row(GROUP, what, worst, "", DIFFERENCE_MAX, "lower", f"lifelines; {upto}")
    yield from _luck(scale)
    for scenario in SCENARIOS:
        few, many = (period_difference(scenario, n, seed=n) for n in (200, 2_000))
        what = f"period, {scenario}: max |ΔS|"
        note = f"lifelines, left-truncated; 2,000 orders in the window; with 200: {few:.4f}"
        yield Row(GROUP, what, many, "", DIFFERENCE_MAX, "lower", note)
    size = sizes[-2]
    for scenario in SCENARIOS:
        ratio, ours_ms = speed_ratio(scenario, size)
        note = f"lifelines / on buckets, n = {size:,}, {ours_ms:.2f} ms, best of {_ROUNDS}"
        yield Row(GROUP, f"speed, {scenario}", ratio, "×", SPEED_RATIO_MIN, "higher", note)


def _luck(scale: float) -> Iterator[Row]:
    """The age at which an outage began: a handful at risk, whose order inside a bucket is lost."""
    n, seeds = 10_000, max(5, round(100 * scale))
    for scenario in ("total outage", "30 % stuck"):
        found = np.array([cohort_differences(scenario, n, seed)[1] for seed in range(seeds)])
        share = 100 * float(np.mean(found > DIFFERENCE_MAX))
        note = f"n = {n:,}, {seeds} seeds, worst {found.max():.4f}"
        yield Row(GROUP, f"cohort on buckets, {scenario}: runs > 0.001", share, "%", note=note)
