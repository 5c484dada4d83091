"""Receivers that are black holes hold nobody up: `benchmarks/black_holes.py` in small (P7)."""

from collections import Counter
from pathlib import Path

import pytest

from benchmarks.black_holes import Half, bursts, side_by_side, violations


@pytest.mark.slow
def test_every_event_is_taken_among_black_holes(tmp_path: Path) -> None:
    """Connections that are never made or answered: the service tries, and goes on taking events."""
    well, holes, called = side_by_side(tmp_path, 0.1)
    assert set(well.statuses) == set(holes.statuses) == {202}
    assert holes.statuses.total() == 2_500
    assert called


def half(milliseconds: float, growth_mib: int, status: int = 202) -> Half:
    """What a service came to, as if all its answers had been alike."""
    rss = [100 << 20, (100 + growth_mib) << 20]
    return Half([milliseconds / 1_000] * 10, Counter({status: 10}), rss)


def test_delay_memory_and_refusals_beyond_those_of_the_twin_are_violations() -> None:
    """What a busy machine does to both is none."""
    assert violations(half(5, 10), half(40, 70)) == []
    assert violations(half(400, 10), half(500, 10)) == []
    assert violations(half(5, 10), half(60, 10)) == ["p99 60 ms"]
    assert violations(half(5, 10), half(5, 80)) == ["70 MiB more than its twin"]
    assert violations(half(5, 10), half(5, 10, 503)) == ["10 events not taken"]


def test_orders_are_paid_and_then_delivered_or_left_hanging() -> None:
    """The second burst delivers what the first sold, but for every fiftieth."""
    first, second = bursts(2)
    assert (len(first), len(second)) == (500, 1_000)
    assert sum(b"delivery.attempted" in one for one in second) == 10
