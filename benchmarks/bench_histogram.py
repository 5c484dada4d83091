"""The log histogram: error of percentiles on a heavy tail, speed of counting and merging."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.row import Row
from monitor.core.signals.arrays import IntArray
from monitor.core.signals.histogram import BUCKETS, LogHistogram, bucket_index, count_into

GROUP = "histogram"
SHARES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
ERROR_PERCENT_MAX = 1.1
WEEK_MS = 7 * 86_400_000

_ROUNDS = 9


def heavy_tailed_ms(n: int, seed: int) -> IntArray:
    """Delays of a shop with a bad tail: 98.5 % lognormal around 8 s, the rest Pareto 1.1 from 20 s.

    Shapes: int64[n], whole milliseconds, at most a week.
    """
    random = np.random.default_rng(seed)
    delays = 8_000 * random.lognormal(0.0, 0.8, n)
    is_slow = random.random(n) < 0.015
    delays[is_slow] = 20_000 * (1.0 + random.pareto(1.1, int(is_slow.sum())))
    return np.minimum(delays, WEEK_MS).astype(np.int64)


def exact_quantile_s(ranked_ms: IntArray, q: float) -> float:
    """The smallest delay that a share q does not exceed; of sorted delays."""
    return float(ranked_ms[max(0, int(np.ceil(q * ranked_ms.size)) - 1)]) / 1000


def quantile_errors_percent(n: int, seed: int) -> dict[str, float]:
    """By how much each percentile of the histogram is off the exact one."""
    delays = heavy_tailed_ms(n, seed)
    histogram, ranked = LogHistogram.of(delays), np.sort(delays)
    errors = {}
    for name, q in SHARES.items():
        found = histogram.quantile(q)
        assert found is not None
        errors[name] = 100 * abs(found / exact_quantile_s(ranked, q) - 1)
    return errors


def rows(scale: float) -> Iterator[Row]:
    """Errors over ten samples, best times of several rounds: a shared machine only ever adds."""
    n = max(10_000, int(1_000_000 * scale))
    note = f"lognormal + Pareto 1.1, n = {n:,}, worst of 10 seeds"
    found = [quantile_errors_percent(n, seed) for seed in range(10)]
    for name in SHARES:
        worst = max(errors[name] for errors in found)
        yield Row(GROUP, f"error of {name}", worst, "%", ERROR_PERCENT_MAX, "lower", note)
    yield from _speed(n)


def _speed(n: int) -> Iterator[Row]:
    delays = heavy_tailed_ms(n, 0)
    counts = np.zeros(BUCKETS, dtype=np.int64)
    batch_s = _best_s(lambda: count_into(counts, delays))
    note = f"n = {n:,}, best of {_ROUNDS}"
    yield Row(GROUP, "batch insert", n / batch_s / 1e6, "M/s", 30.0, "higher", note)
    one, two = LogHistogram.of(delays), LogHistogram.of(delays[: n // 2])
    merge_s = _best_s(lambda: [one.merge(two) for _ in range(1_000)]) / 1_000
    yield Row(GROUP, "merge of two", merge_s * 1e6, "µs", 5.0, "lower", f"best of {_ROUNDS}")
    single = delays[:5_000].tolist()
    single_s = _best_s(lambda: [bucket_index(delay) for delay in single]) / len(single)
    yield Row(GROUP, "look-up of one delay", single_s * 1e6, "µs", note="scalar path")
    quantiles_s = _best_s(lambda: [one.quantile(q) for q in (0.5, 0.9, 0.95, 0.99)])
    yield Row(GROUP, "four percentiles", quantiles_s * 1e6, "µs", note="any n")


def _best_s(call: Callable[[], object]) -> float:
    found = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        call()
        found.append(time.perf_counter() - began)
    return min(found)
