"""Counters that only grow."""

import msgspec
import numpy as np

from benchmarks.bench_histogram import exact_quantile_s, heavy_tailed_ms
from monitor.core.orders.totals import EDGES_MS, SERIES_MAX, DelayTotals, Totals
from monitor.core.signals.histogram import bucket_index


def test_delay_on_an_edge_belongs_to_the_interval_below_it() -> None:
    """`le` of the metric: exactly 180 s is not above 180 s."""
    totals = Totals()
    for delay_ms in (180_000, 180_001, 4_000_000):
        totals.count_delay("auto", delay_ms)
    counts = totals.delays["auto"].counts
    edge = EDGES_MS.index(180_000)
    assert (counts[edge], counts[edge + 1], counts[-1]) == (1, 1, 1)
    assert totals.delays["auto"].sum_ms == 4_360_001
    assert {60_000, 180_000, 300_000, 1_800_000} <= set(EDGES_MS)


def test_series_beyond_the_limit_are_counted_as_other() -> None:
    """An attacker who invents names cannot grow the counters without end."""
    totals = Totals()
    for index in range(SERIES_MAX + 3):
        totals.count_event(f"source-{index}", "order.paid", "accepted")
    assert len(totals.events) == SERIES_MAX + 1
    assert totals.events["other\tother\tother"] == 3
    assert totals.overflow == {"series": 3}


def test_two_totals_share_no_counter() -> None:
    """Two monitors run in one process."""
    one, two = Totals(), Totals()
    one.count_order("auto", "good")
    assert two.orders == {}


def test_one_delivery_is_counted_once_for_every_reader() -> None:
    """Exact at the promises, within 1.1 % at any percentile, and the sum to the millisecond."""
    delays = heavy_tailed_ms(20_000, 5)
    totals = DelayTotals([0] * (len(EDGES_MS) + 1))
    for delay_ms in delays.tolist():
        totals.add(delay_ms)
    for edge_ms in (60_000, 180_000, 300_000, 1_800_000):
        below = sum(totals.counts[: EDGES_MS.index(edge_ms) + 1])
        assert below == np.count_nonzero(delays <= edge_ms)
    histogram = totals.histogram()
    assert (histogram.total, histogram.sum_ms) == (20_000, int(delays.sum()))
    exact_s = exact_quantile_s(np.sort(delays), 0.99)
    found_s = histogram.quantile(0.99)
    assert found_s is not None
    assert abs(found_s / exact_s - 1) <= 0.011


def test_equal_deliveries_in_another_order_are_equal_bytes() -> None:
    """The state of the counters does not tell in which order they grew."""
    encoder = msgspec.json.Encoder(order="deterministic")
    one, two = (DelayTotals([0] * (len(EDGES_MS) + 1)) for _ in range(2))
    delays = [5, 70_000, 300_000, 9]
    for first, second in zip(delays, reversed(delays), strict=True):
        one.add(first)
        two.add(second)
    assert encoder.encode(one) == encoder.encode(two)
    assert msgspec.json.decode(encoder.encode(one), type=DelayTotals) == one


def test_counters_of_the_first_release_go_on() -> None:
    """It had no log buckets: what it counted stands at the end of its interval, none is lost."""
    counts = [0] * (len(EDGES_MS) + 1)
    counts[0], counts[EDGES_MS.index(180_000)], counts[-1] = 1, 2, 3
    stored = msgspec.json.encode({"counts": counts, "sum_ms": 9})
    totals = msgspec.json.decode(stored, type=DelayTotals)
    totals.add(180_000)
    found = totals.histogram().counts
    assert {i: int(count) for i, count in enumerate(found) if count} == {
        bucket_index(500): 1,
        bucket_index(180_000): 3,
        bucket_index(3_600_001): 3,
    }
    assert sum(totals.counts) == 7
