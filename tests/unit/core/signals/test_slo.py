"""Error budgets by hand: counted once, corrected, merged, and read over any window."""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.signals.slo import BudgetState, Fault, SloBook, merge
from monitor.model.errors import InvariantError
from monitor.model.rules import Signal, Slo, Window
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS
from tests.unit.core.signals.strategies import unhurried

NOW_MS = 490_833 * HOUR_MS
SLO = Slo("delivery", 0.98)
GOOD, LATE = Fault(), Fault(is_breached=True, is_bad=True)
FAILED = Fault(is_bad=True, is_failed=True)
HOUR = Window(span_ms=HOUR_MS)


def book_of(*orders: tuple[str, int, Fault]) -> SloBook:
    """Channel, how many minutes ago, fault."""
    book = SloBook()
    for channel, minutes, fault in orders:
        book.add(channel, NOW_MS - minutes * MINUTE_MS, fault)
    return book


def hundred(late: int, channel: str = "auto", minutes: int = 10) -> list[tuple[str, int, Fault]]:
    return [(channel, minutes, LATE if index < late else GOOD) for index in range(100)]


def test_burn_rate_is_the_share_of_bad_orders_over_the_budget() -> None:
    """Ten late of a hundred with a budget of 2 % burn five times too fast."""
    spent = book_of(*hundred(10)).burn(SLO, HOUR, NOW_MS)
    assert (spent.k, spent.n) == (10, 100)
    assert spent.value == pytest.approx(5.0)


def test_remaining_budget_falls_below_zero_and_pace_says_when() -> None:
    """One late of a hundred leaves half; at burn 0.5 that lasts the window of 30 days; 3 overspend."""
    book = book_of(*hundred(1))
    assert book.budget_remaining(SLO, NOW_MS).value == pytest.approx(0.5)
    assert book.time_to_exhaustion(SLO, NOW_MS) == 30 * DAY_MS
    overspent = book_of(*hundred(3))
    assert overspent.budget_remaining(SLO, NOW_MS).value == pytest.approx(-0.5)
    assert overspent.time_to_exhaustion(SLO, NOW_MS) == 0
    assert book_of(*hundred(0)).time_to_exhaustion(SLO, NOW_MS) is None
    assert book_of(("auto", 1, LATE)).time_to_exhaustion(SLO, NOW_MS) is None


def test_nothing_judged_is_no_data() -> None:
    """Neither zero nor a full budget: nothing can be said, of a channel nobody knows either."""
    for book in (SloBook(), book_of(*hundred(1, minutes=90))):
        assert book.burn(SLO, HOUR, NOW_MS).value is None
        assert book.burn(SLO, HOUR, NOW_MS, "nobody").n == 0
    assert SloBook().budget_remaining(SLO, NOW_MS).value is None


def test_each_objective_counts_its_own_fault() -> None:
    """Failed at once is bad and failed, and never was late."""
    book = book_of(("a", 1, FAILED), ("a", 1, LATE), ("a", 1, LATE), ("a", 1, GOOD))
    counts = [
        book.burn(Slo("x", 0.9, metric=metric), HOUR, NOW_MS).k
        for metric in ("delayed_ratio", "bad_ratio", "failed_ratio")
    ]
    assert counts == [2, 3, 1]


def revise(book: SloBook, channel: str, at_ms: int, before: Fault, after: Fault) -> None:
    book.remove(channel, at_ms, before)
    book.add(channel, at_ms, after)


def test_correction_changes_the_fault_and_not_the_order() -> None:
    """A late order that is delivered at last stays one judged order; a mistake leaves no trace."""
    book = book_of(("a", 5, Fault(is_breached=True, is_bad=True)), ("a", 5, GOOD))
    at_ms = NOW_MS - 5 * MINUTE_MS
    revise(book, "a", at_ms, LATE, Fault(is_breached=True, is_bad=True, is_failed=True))
    assert book.burn(Slo("x", 0.9, metric="failed_ratio"), HOUR, NOW_MS).k == 1
    revise(book, "a", at_ms, Fault(is_breached=True, is_bad=True, is_failed=True), GOOD)
    spent = book.burn(SLO, HOUR, NOW_MS)
    assert (spent.k, spent.n) == (0, 2)
    book.remove("a", at_ms, GOOD)
    assert book.burn(SLO, HOUR, NOW_MS).n == 1


@pytest.mark.parametrize(
    ("window_ms", "inside", "outside"),
    [(5 * MINUTE_MS, 5, 7), (HOUR_MS, 60, 62), (3 * DAY_MS, 4_320, 4_326),
     (30 * DAY_MS, 43_200, 43_261)],
)  # fmt: skip
def test_window_reaches_as_far_as_it_says(window_ms: int, inside: int, outside: int) -> None:
    """To the end of a bin: a minute, five, or an hour for the longest."""
    book = book_of(("a", outside, LATE), ("a", inside, LATE), ("a", 0, GOOD))
    spent = book.burn(SLO, Window(span_ms=window_ms), NOW_MS)
    assert (spent.k, spent.n) == (1, 2)


def test_window_longer_than_the_book_is_a_bug() -> None:
    """The rule language lets none pass."""
    with pytest.raises(InvariantError):
        SloBook().burn(SLO, Window(span_ms=31 * DAY_MS), NOW_MS)


def test_adaptive_window_goes_back_until_it_holds_enough_orders() -> None:
    """`[5m:4:1h]` per channel: busy ones are judged by 5 min, quiet ones by an hour at most."""
    busy = [("busy", 20, LATE)] * 4 + [("busy", 1, GOOD)] * 4
    quiet = [("quiet", 90, LATE), ("quiet", 50, LATE), ("quiet", 20, LATE), ("quiet", 1, GOOD)]
    signal = Signal("burn_rate", Window(5 * MINUTE_MS, 4, HOUR_MS), argument="delivery")
    table = book_of(*busy, *quiet).table(signal, (SLO,), NOW_MS, is_split=True)
    assert table.n is not None
    assert table.k is not None
    assert (table.names, table.k.tolist(), table.n.tolist()) == (("busy", "quiet"), [0, 2], [4, 3])


def test_table_per_channel_and_overall_carry_what_the_evidence_needs() -> None:
    """k, n and the share one unit of burn stands for."""
    book = book_of(*hundred(10, "b"), *hundred(0, "a"))
    signal = Signal("burn_rate", HOUR, argument="delivery")
    split = book.table(signal, (SLO,), NOW_MS, is_split=True)
    assert (split.label, split.names) == ("channel", ("a", "b"))
    assert split.values.tolist() == pytest.approx([0.0, 5.0])
    overall = book.table(signal, (SLO,), NOW_MS, is_split=False)
    assert (overall.label, overall.names, overall.share_per_unit) == (None, ("",), 0.02)
    assert overall.values.tolist() == pytest.approx([2.5])
    assert overall.k is not None
    assert overall.k.tolist() == [10]


def test_budget_of_few_orders_is_not_proven_and_unknown_objectives_have_no_data() -> None:
    """One late order of one has spent fifty budgets, which proves nothing."""
    signal = Signal("budget_remaining", argument="delivery")
    few = book_of(("a", 1, LATE)).table(signal, (SLO,), NOW_MS, is_split=False)
    assert (few.values.tolist(), few.is_proven) == (pytest.approx([-49.0]), np.array([False]))
    many = book_of(*hundred(1)).table(signal, (SLO,), NOW_MS, is_split=False)
    assert many.is_proven is not None
    assert many.is_proven.all()
    gone = book_of(*hundred(1)).table(signal, (), NOW_MS, is_split=True)
    assert (gone.names, math.isnan(gone.values[0])) == (("auto",), True)
    empty = SloBook().table(signal, (SLO,), NOW_MS, is_split=True)
    assert (empty.names, len(empty.values)) == ((), 0)


def test_memory_is_bounded_however_long_it_runs() -> None:
    """400 days of one order an hour leave what 30 days leave; older ones are dropped."""
    book = SloBook()
    for hour in range(400 * 24):
        book.add("a", hour * HOUR_MS, GOOD)
    book.add("a", 0, LATE)
    state = book.state()
    assert len(state.rows) < 2_000
    spent = book.burn(SLO, Window(span_ms=30 * DAY_MS), 400 * DAY_MS)
    assert (spent.k, spent.n) == (0, 30 * 24)


orders = st.lists(
    st.tuples(
        st.sampled_from(("a", "b", "中")),
        # 361 minutes later the ring of minutes has come round.
        st.integers(0, 40 * DAY_MS) | st.integers(0, 9).map(lambda turn: turn * 361 * MINUTE_MS),
        st.builds(Fault, st.booleans(), st.booleans(), st.booleans()),
    ),
    max_size=40,
)


@unhurried
@given(orders, st.integers(1, 8))
def test_shards_merge_into_the_book_of_one(counted: list[tuple[str, int, Fault]], n: int) -> None:
    """Whatever the order of arrival and of merging, also through a snapshot's bytes."""
    whole = SloBook()
    shards = [SloBook() for _ in range(n)]
    for index, order in enumerate(counted):
        whole.add(*order)
        shards[index % n].add(*order)
    states = [
        msgspec.json.decode(msgspec.json.encode(shard.state()), type=BudgetState)
        for shard in shards
    ]
    for arranged in (states, states[::-1]):
        assert merge(arranged).state() == whole.state()
    assert merge([whole.state()]).state() == whole.state()
    joined = SloBook()
    for shard in shards:
        joined.join(shard)
    assert joined.state() == whole.state()


@unhurried
@given(orders, st.integers(1, 30 * DAY_MS), st.integers(0, 50), st.integers(0, 41 * DAY_MS))
def test_any_reading_is_a_number_or_no_data(
    counted: list[tuple[str, int, Fault]], span_ms: int, least: int, now_ms: int
) -> None:
    """Corrections in excess, future orders, any window: 0 ≤ k ≤ n, and a wider one holds more."""
    book = SloBook()
    for channel, at_ms, fault in counted:
        book.add(channel, at_ms, fault)
        revise(book, channel, at_ms, *((FAILED, GOOD) if at_ms % 2 else (GOOD, LATE)))
        revise(book, channel, at_ms, *((FAILED, GOOD) if at_ms % 2 else (GOOD, LATE)))
    for window in _windows(span_ms, least):
        spent = book.burn(SLO, window, now_ms)
        assert 0 <= spent.k <= spent.n <= len(counted)
        assert (spent.value is None) == (spent.n == 0)
    narrow, wide = (book.burn(SLO, window, now_ms).n for window in _windows(span_ms, least))
    assert narrow <= wide or span_ms > 6 * HOUR_MS


def _windows(span_ms: int, least: int) -> Iterator[Window]:
    yield Window(span_ms=span_ms)
    yield Window(span_ms=span_ms, min_orders=least)
