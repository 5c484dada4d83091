"""Signals of one scope, compared with counting by hand over a list of orders."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.signals.scope import Scope
from monitor.model.rules import Window
from tests.unit.core.signals.rows import NOW_MS, Row, rows_of


def scope_of(orders: list[Row], channel: int | None = None) -> Scope:
    rows = rows_of(orders)
    mask = np.ones(len(rows.key), np.bool_) if channel is None else rows.channel == channel
    return Scope(rows, np.asarray(mask), NOW_MS)


@st.composite
def order_rows(draw: Any) -> Row:
    paid_ms = draw(st.integers(1, NOW_MS))
    promise_ms = draw(st.sampled_from([1, 60_000, 180_000, 900_000]))
    ending = draw(st.sampled_from(["", "delivered", "failed", "refunded", "cancelled"]))
    end_ms = draw(st.integers(paid_ms, NOW_MS)) if ending else 0
    deadline_ms = paid_ms + promise_ms
    is_late = deadline_ms < NOW_MS and (not ending or end_ms > deadline_ms)
    return Row(paid_ms, promise_ms, ending, end_ms, deadline_ms if is_late else None,
               draw(st.integers(0, 1)))  # fmt: skip


@given(st.lists(order_rows(), max_size=40), st.integers(0, NOW_MS))
def test_counts_equal_counting_by_hand(orders: list[Row], since_ms: int) -> None:
    """Verdicts of the orders of a channel judged in (since, now]."""
    mine = [order for order in orders if order.channel == 1]
    judged = [order for order in mine if since_ms < order.judged_ms <= NOW_MS]
    counts = scope_of(orders, 1).counts(since_ms)
    in_time = [o for o in judged if o.ending == "delivered" and o.wait_ms() <= o.promise_ms]
    assert counts.judged == len(judged)
    assert counts.breached == sum(order.breach_ms is not None for order in judged)
    assert counts.good == len(in_time)
    assert counts.late_delivered == sum(o.ending == "delivered" for o in judged) - len(in_time)
    assert counts.late_pending == sum(o.ending == "" for o in judged)
    for kind in ("failed", "refunded", "cancelled"):
        assert getattr(counts, kind) == sum(order.ending == kind for order in judged)
    assert counts.undecided == sum(o.ending == "" and o.breach_ms is None for o in mine)


@given(st.lists(order_rows(), max_size=40), st.integers(0, NOW_MS))
def test_delays_equal_averaging_by_hand(orders: list[Row], since_ms: int) -> None:
    """Judged orders that were delivered or broke their promise; who waits counts with the age."""
    waits = sorted(
        order.wait_ms()
        for order in orders
        if since_ms < order.judged_ms <= NOW_MS
        and (order.ending == "delivered" or order.breach_ms is not None)
    )
    delays = scope_of(orders).delays(since_ms)
    assert delays.n == len(waits)
    if waits:
        assert delays.mean_ms == pytest.approx(sum(waits) / len(waits))
        kept = waits[: len(waits) - max(1, -(-len(waits) // 20))]
        assert delays.trimmed_ms == (pytest.approx(sum(kept) / len(kept)) if kept else None)
    else:
        assert (delays.mean_ms, delays.trimmed_ms) == (None, None)


@given(st.lists(order_rows(), max_size=30), st.integers(0, NOW_MS))
def test_curve_sees_everybody_present_in_the_window(orders: list[Row], since_ms: int) -> None:
    """Waiting orders, and those that ended in (since, now]; undelivered ones never count as events."""
    curve = scope_of(orders).curve(since_ms)
    ended = [order for order in orders if order.ending and order.end_ms > since_ms]
    assert curve.n_events == sum(order.ending == "delivered" for order in ended)
    waiting = sum(not order.ending for order in orders)
    assert curve.n_censored == waiting + len(ended) - curve.n_events


def test_order_delivered_before_its_payment_by_clock_skew_counts_as_immediate() -> None:
    """It is in the curve with a delay of 0, not missing from it."""
    curve = scope_of([Row(500_000, ending="delivered", end_ms=499_000)]).curve(0)
    assert (curve.n_events, curve.n_censored) == (1, 0)


def test_delivery_at_the_very_start_of_a_window_belongs_to_the_one_before() -> None:
    """Windows are open at their start, so neighbours never count an order twice."""
    scope = scope_of([Row(1, ending="delivered", end_ms=500_000)])
    assert (scope.curve(500_000).n_events, scope.curve(499_999).n_events) == (0, 1)
    assert (scope.delivered_since(500_000), scope.delivered_since(499_999)) == (0, 1)


@given(st.lists(order_rows(), max_size=40), st.integers(0, NOW_MS), st.integers(0, 400_000))
def test_longer_than_equals_counting_by_hand(
    orders: list[Row], since_ms: int, limit_ms: int
) -> None:
    """Slow, still waiting or never delivered, of all that is decided about the limit."""
    k = n = 0
    for order in orders:
        is_ended = bool(order.ending) and order.end_ms > since_ms
        is_waiting_longer = not order.ending and order.wait_ms() > limit_ms
        if is_ended or is_waiting_longer:
            n += 1
            k += is_waiting_longer or order.ending != "delivered" or order.wait_ms() > limit_ms
    assert scope_of(orders).longer_than(limit_ms, since_ms) == (k, n)


@given(st.lists(order_rows(), max_size=40))
def test_streaks_equal_walking_back_by_hand(orders: list[Row]) -> None:
    """From the latest judged order backwards, until one is otherwise."""
    judged = sorted((o.judged_ms, key) for key, o in enumerate(orders) if o.judged_ms)
    for is_good in (True, False):
        streak = 0
        for _, key in reversed(judged):
            order = orders[key]
            in_time = order.ending == "delivered" and order.wait_ms() <= order.promise_ms
            if not (in_time if is_good else order.breach_ms is not None):
                break
            streak += 1
        assert scope_of(orders).consecutive(good=is_good) == streak


JUDGED_EVERY_MINUTE = [
    Row(NOW_MS - minute * 60_000 - 10, ending="delivered", end_ms=NOW_MS - minute * 60_000)
    for minute in range(12)
]


@pytest.mark.parametrize(
    ("window", "judged"),
    [
        (Window(span_ms=180_000), 3),
        (Window(span_ms=180_000, min_orders=5), 5),
        (Window(span_ms=180_000, min_orders=5, max_ms=600_000), 5),
        (Window(span_ms=180_000, min_orders=5, max_ms=240_000), 4),
        (Window(span_ms=180_000, min_orders=2, max_ms=600_000), 3),
        (Window(span_ms=180_000, min_orders=99, max_ms=3_600_000), 12),
        (Window(last=4), 4),
        (Window(last=99), 12),
    ],
)
def test_window_reaches_back_as_far_as_its_orders_need(window: Window, judged: int) -> None:
    """Twelve orders, one a minute from now on back; a window is open at its start."""
    scope = scope_of(JUDGED_EVERY_MINUTE)
    assert scope.counts(scope.since_ms(window)).judged == judged


def test_window_of_a_scope_without_orders_is_empty() -> None:
    """No orders, no reach, no crash."""
    scope = scope_of([])
    for window in (Window(last=3), Window(span_ms=60_000, min_orders=3, max_ms=600_000)):
        assert scope.counts(scope.since_ms(window)).judged == 0
    assert scope.delays(0).mean_ms is None
    assert scope.open_ages_ms().tolist() == []
    assert scope.consecutive(good=True) == 0


def test_flow_counts_what_was_delivered_in_the_window() -> None:
    """Throughput of the last minutes, and how long the others have waited."""
    orders = [Row(400_000), Row(600_000, ending="delivered", end_ms=900_000), Row(900_000)]
    scope = scope_of(orders)
    assert (scope.delivered_since(899_999), scope.delivered_since(900_000)) == (1, 0)
    assert sorted(scope.open_ages_ms().tolist()) == [100_000, 600_000]
