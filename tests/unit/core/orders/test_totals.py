"""Counters that only grow."""

from monitor.core.orders.totals import EDGES_MS, SERIES_MAX, Totals


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
