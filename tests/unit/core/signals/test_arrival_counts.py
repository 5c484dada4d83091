"""Counts of new orders per source: a ring of five minutes that adds up over shards."""

from hypothesis import given
from hypothesis import strategies as st

from monitor.core.signals.arrival_counts import (
    BIN_MS,
    BINS,
    ArrivalCounter,
)
from monitor.model.ids import CANARY_SOURCE
from monitor.model.times import DAY_MS, HOUR_MS

T0 = 1_767_571_200_000  # Monday 2026-01-05 00:00 UTC

ORDERS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(T0, T0 + 2 * DAY_MS), st.integers(0, 2))
)


def bin_of(at_ms: int) -> int:
    return at_ms // BIN_MS


def test_orders_are_counted_in_their_own_five_minutes() -> None:
    """The newest bin is the last column; a late event goes where it belongs."""
    counter = ArrivalCounter()
    counter.add("a", T0)
    counter.add("a", T0 + BIN_MS)
    counter.add("a", T0 + 1)
    counts = counter.matrix(("a", "nobody"), bin_of(T0) + 1)
    assert counts.shape == (2, BINS)
    assert counts[0, -2:].tolist() == [2, 1]
    assert counts.sum() == 3
    assert counter.last_ms("a") == T0 + BIN_MS


def test_orders_older_than_the_ring_are_forgotten() -> None:
    """After 26 hours a bin is used again, and an older order is not put into it."""
    counter = ArrivalCounter()
    counter.add("a", T0)
    counter.add("a", T0 + 26 * HOUR_MS)
    counter.add("a", T0 + 1)
    assert counter.matrix(("a",), bin_of(T0 + 26 * HOUR_MS)).sum() == 1


def test_canary_orders_are_left_out() -> None:
    """The monitor's own orders would hide that customers are gone."""
    counter = ArrivalCounter()
    counter.add(CANARY_SOURCE, T0)
    assert counter.names == ()


@given(ORDERS)
def test_merged_shards_equal_one(orders: list[tuple[str, int, int]]) -> None:
    """Three shards' counts, merged in any order, are the counts of one that saw everything."""
    one, shards = ArrivalCounter(), [ArrivalCounter() for _ in range(3)]
    for source, at_ms, shard in orders:
        one.add(source, at_ms)
        shards[shard].add(source, at_ms)
    for sequence in (shards, shards[::-1]):
        merged = ArrivalCounter()
        for counter in sequence:
            merged.merge(counter)
        assert merged.snapshot() == one.snapshot()


@given(ORDERS)
def test_snapshot_brings_everything_back(orders: list[tuple[str, int, int]]) -> None:
    """A restored counter says the same and goes on the same."""
    counter = ArrivalCounter()
    for source, at_ms, _ in orders:
        counter.add(source, at_ms)
    restored = ArrivalCounter.restore(counter.snapshot())
    for one in (counter, restored):
        one.add("a", T0 + 2 * DAY_MS)
    assert restored.snapshot() == counter.snapshot()
