"""Log buckets against the OpenTelemetry SDK's mapping, exact edges and exact quantiles."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics._internal.exponential_histogram.mapping.logarithm_mapping import (
    LogarithmMapping,
)

from benchmarks.bench_histogram import ERROR_PERCENT_MAX, quantile_errors_percent
from monitor.core.signals.histogram import (
    BUCKETS,
    LOWER_S,
    SCALE,
    TOP_MS,
    UPPER_MS,
    UPPER_S,
    LogHistogram,
    bucket_index,
    bucket_indices,
    count_into,
)
from tests.unit.core.signals.strategies import ages_ms, int64, shares, unhurried


def test_bucket_of_any_delay_equals_the_sdk_mapping() -> None:
    """Index 192 lower than the SDK's, for 20,000 delays over the whole range."""
    random = np.random.default_rng(1)
    delays = np.exp2(random.uniform(4.0, 35.9, 20_000)).astype(np.int64)
    sdk = LogarithmMapping(SCALE)
    expected = [sdk.map_to_index(delay / 1000) + 192 for delay in delays.tolist()]
    assert bucket_indices(delays).tolist() == expected
    assert [bucket_index(delay) for delay in delays.tolist()] == expected


@pytest.mark.parametrize("exponent", range(-3, 27))
def test_power_of_two_is_the_upper_edge_of_its_bucket(exponent: int) -> None:
    """Edges are upper-inclusive: 2**e s is the last of its bucket, one ms more is in the next."""
    delay_ms = 125 * 2 ** (exponent + 3)
    bucket = LogarithmMapping(SCALE).map_to_index(2.0**exponent) + 192
    assert bucket == 32 * (exponent + 6) - 1
    assert bucket_index(delay_ms) == bucket
    assert bucket_indices(int64([delay_ms])).tolist() == [bucket]
    assert exponent == 26 or bucket_index(delay_ms + 1) > bucket


def test_integer_edges_are_the_floor_of_the_real_ones() -> None:
    """Each is the largest whole ms of its bucket, by 40-digit decimal arithmetic."""
    with localcontext() as context:
        context.prec = 40
        for bucket in range(BUCKETS):
            edge = Decimal(1000) * Decimal(2) ** (Decimal(bucket + 1) / 32 - 6)
            # Powers of two come out of `**` a hair off, so they are told apart by their exponent.
            if (bucket + 1) % 32 == 0:
                edge = Decimal(1000) * Decimal(2) ** ((bucket + 1) // 32 - 6)
            assert int(UPPER_MS[bucket]) == math.floor(edge), bucket


def test_edges_in_seconds_double_every_32_buckets() -> None:
    """The first bucket starts at 2**-6 s, the last ends at 2**26 s, and arrays are read-only."""
    assert float(LOWER_S[0]) == 0.015625
    assert float(UPPER_S[-1]) == 67_108_864.0
    assert float(UPPER_S[191]) == 1.0
    np.testing.assert_array_equal(UPPER_S[:-1], LOWER_S[1:])
    np.testing.assert_allclose(UPPER_S[32:], 2 * UPPER_S[:-32], rtol=1e-15)
    with pytest.raises(ValueError, match="read-only"):
        UPPER_S[0] = 1.0


@unhurried
@given(st.lists(ages_ms, max_size=50))
def test_scalar_and_vector_agree_on_any_int64(delays: list[int]) -> None:
    """Two paths, one answer, inside the range."""
    vector = bucket_indices(int64(delays)).tolist()
    assert vector == [bucket_index(delay) for delay in delays]
    assert all(0 <= bucket < BUCKETS for bucket in vector)


def test_every_short_delay_has_the_same_bucket_by_either_path() -> None:
    """Each ms of the first 140 s, across the end of the look-up table at 131 s."""
    delays = np.arange(140_000)
    assert bucket_indices(delays).tolist() == [bucket_index(delay) for delay in range(140_000)]


def test_long_delay_around_every_edge_has_the_same_bucket_by_either_path() -> None:
    """The last ms of each bucket and its neighbours, across the ends of both look-up tables."""
    edges = [*UPPER_MS.tolist(), 1 << 17, 1 << 24, *range(1 << 17, (1 << 24) + 4_096, 2_048)]
    delays = int64([edge + step for edge in edges for step in (-1, 0, 1)])
    assert bucket_indices(delays).tolist() == [bucket_index(delay) for delay in delays.tolist()]


def test_delays_outside_the_range_are_in_the_end_buckets() -> None:
    """Below 16 ms and negative in the first, above two years in the last."""
    assert bucket_indices(int64([-5, 0, 15, TOP_MS, TOP_MS + 1, 2**62])).tolist() == (
        [0, 0, 0, 1023, 1023, 1023]
    )


@pytest.mark.parametrize("q", [0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0])
def test_quantile_is_within_a_bucket_of_the_exact_one(q: float) -> None:
    """At most 2.2 % from the sorted sample, over six decades."""
    delays = np.random.default_rng(2).lognormal(9.0, 2.0, 50_000).astype(np.int64) + 20
    exact_s = np.sort(delays)[math.ceil(q * delays.size) - 1] / 1000
    found = LogHistogram.of(delays).quantile(q)
    assert found is not None
    assert abs(found / exact_s - 1) < 2 ** (1 / 32) - 1


@pytest.mark.parametrize("seed", range(3))
def test_percentiles_of_a_heavy_tail_are_within_their_target(seed: int) -> None:
    """p50 … p99.9 of lognormal + Pareto delays, 1.1 % off at most."""
    errors = quantile_errors_percent(100_000, seed)
    assert max(errors.values()) <= ERROR_PERCENT_MAX, errors


@unhurried
@given(st.lists(ages_ms, max_size=30), st.integers(1, 40_000))
def test_one_by_one_and_in_a_batch_is_the_same_count(delays: list[int], repeats: int) -> None:
    """Below, at and above the number from which the vector path counts, and beyond its slices."""
    expected = np.zeros(BUCKETS, dtype=np.int64)
    for delay in delays:
        expected[bucket_index(delay)] += 1
    counts = np.zeros(BUCKETS, dtype=np.int64)
    count_into(counts, delays)
    assert counts.tolist() == expected.tolist()
    count_into(counts, np.repeat(int64(delays[:2]), repeats))
    for delay in delays[:2]:
        expected[bucket_index(delay)] += repeats
    assert counts.tolist() == expected.tolist()


def test_quantile_is_interpolated_on_the_log_scale() -> None:
    """Four delays in the bucket ending at 1 s: the median is half-way through it."""
    histogram = LogHistogram.of(int64([980, 985, 990, 1000]))
    assert histogram.quantile(0.5) == pytest.approx(2 ** (-1 / 64), rel=1e-12)
    assert histogram.quantile(0.0) == pytest.approx(2 ** (-1 / 32), rel=1e-12)
    assert histogram.quantile(1.0) == pytest.approx(1.0, rel=1e-12)


def test_sum_beyond_int64_is_exact() -> None:
    """Three delays of 2**62 ms add up to more than an int64 holds."""
    assert LogHistogram.of(int64([2**62, 2**62, 2**62, 7])).sum_ms == 3 * 2**62 + 7


@unhurried
@given(st.lists(ages_ms, max_size=40), st.integers(0, 40), shares)
def test_shards_equal_the_whole_and_everything_is_defined(
    delays: list[int], cut: int, q: float
) -> None:
    """Any cut merges to the same bits; quantiles never fail and never are NaN."""
    whole = LogHistogram.of(int64(delays))
    merged = LogHistogram.merge(
        LogHistogram.of(int64(delays[cut:])), LogHistogram.of(int64(delays[:cut]))
    )
    assert merged.counts.tolist() == whole.counts.tolist()
    assert merged.sum_ms == whole.sum_ms == sum(max(0, delay) for delay in delays)
    assert whole.total == len(delays)
    value = whole.quantile(q)
    assert (value is None) == (not delays)
    assert value is None or 0.0 < value <= 2.0**26


def test_empty_histogram_has_no_quantile_and_is_neutral() -> None:
    """No orders, no number; merging it changes nothing."""
    assert LogHistogram.empty().quantile(0.5) is None
    some = LogHistogram.of(int64([1, 2, 3_000]))
    assert LogHistogram.empty().merge(some).counts.tolist() == some.counts.tolist()
