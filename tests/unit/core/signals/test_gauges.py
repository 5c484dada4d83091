"""What is measured outside: how long a wallet lasts, what left a stock, and how much is taken in."""

from __future__ import annotations

import math

import msgspec
import pytest

from monitor.core.signals.gauges import GAP_MAX_MS, NAMES_MAX, Gauge, Gauges
from monitor.model.records import Gauged
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS

NOW_MS = 1_767_578_400_000


def told(kind: str, *values: int, every_ms: int = MINUTE_MS, name: str = "x") -> Gauges:
    """A thing that was measured again and again."""
    gauges = Gauges()
    for turn, value in enumerate(values):
        gauges.note(Gauged(kind, name, value, NOW_MS + turn * every_ms))
    return gauges


def value(gauges: Gauges, signal: str, now_ms: int = NOW_MS) -> float:
    """The reading of the only name."""
    return float(gauges.table(signal, now_ms).values[0])


def test_a_wallet_lasts_as_long_as_it_fell_lately_whatever_was_paid_in() -> None:
    """Four days, 300 a day fell, 1,000 was paid in: 1,100 left last for 3 2/3 days."""
    gauges = told("wallet", 1_000, 700, 400, 1_400, 1_100, every_ms=DAY_MS)
    now_ms = NOW_MS + 4 * DAY_MS
    assert value(gauges, "wallet", now_ms) == 1_100
    assert value(gauges, "wallet_left", now_ms) == pytest.approx(1_100 * 4 / 900 * 86_400)


@pytest.mark.parametrize(("values", "left"), [((5,), math.nan), ((0,), 0.0), ((7, 9), math.nan)])
def test_a_wallet_that_never_fell_lasts_unless_it_is_empty(
    values: tuple[int, ...], left: float
) -> None:
    """Nothing is known of the pace, and nothing needs to be of an empty one."""
    assert value(told("wallet", *values), "wallet_left") == pytest.approx(left, nan_ok=True)


def stock(*steps: int) -> Gauges:
    """A stock that is known to match; then counts of it, and deliveries as negative numbers."""
    gauges = told("stock", 103, every_ms=0)
    for left in (102, 101, 100):
        gauges.note(Gauged("stock", "x", left, NOW_MS))
        gauges.sell("x", 1, NOW_MS)
    for turn, step in enumerate(steps):
        at_ms = NOW_MS + turn * 6 * MINUTE_MS
        if step < 0:
            gauges.sell("x", -step, at_ms)
        else:
            gauges.note(Gauged("stock", "x", step, at_ms))
    return gauges


@pytest.mark.parametrize(
    ("steps", "gap"),
    [
        ((98,), 2),
        ((98, -2), 0),
        ((-2, 98), 0),
        ((98, -1), 1),
        ((98, 150), 0),  # filled up: it begins anew
        ((98, 150, 149), 1),
        ((-1, -1, -1, 97, 90), 7),
        ((-5, 99, 98, 90), 8),  # filled up unseen: what was sold before does not hide what left
    ],
)
def test_what_left_and_was_not_delivered_is_counted(steps: tuple[int, ...], gap: int) -> None:
    """Whichever of the two is heard of first."""
    assert value(stock(*steps), "stock_gap") == gap


def test_a_difference_that_was_told_for_six_hours_is_settled() -> None:
    """And the next one counts from there."""
    gauges = stock(98)
    assert value(gauges, "stock_gap", NOW_MS + GAP_MAX_MS - 1) == 2
    assert value(gauges, "stock_gap", NOW_MS + GAP_MAX_MS) == 0
    gauges.note(Gauged("stock", "x", 97, NOW_MS + GAP_MAX_MS + HOUR_MS))
    assert value(gauges, "stock_gap", NOW_MS + GAP_MAX_MS + HOUR_MS) == 1


def test_a_stock_that_never_matched_says_nothing() -> None:
    """The shop's orders do not name the goods, or its keys may be sold again."""
    assert math.isnan(value(told("stock", 100, 90, 80, 70), "stock_gap"))


def test_the_same_value_an_older_one_and_too_many_names_are_no_news() -> None:
    """What comes in is bounded, and only what changes is kept."""
    gauges = told("wallet", 5)
    assert not gauges.note(Gauged("wallet", "x", 5, NOW_MS + 1))
    assert not gauges.note(Gauged("wallet", "x", 4, NOW_MS - 1))
    for number in range(NAMES_MAX - 1):
        assert gauges.note(Gauged("wallet", f"w{number}", 1, NOW_MS))
    assert not gauges.note(Gauged("wallet", "one-more", 1, NOW_MS))
    assert gauges.note(Gauged("webhook", "another-kind", 1, NOW_MS))


def test_gauges_are_the_same_from_a_snapshot() -> None:
    """All of it is plain data, and the ledger goes on where it was."""
    gauges = stock(98)
    body = msgspec.json.encode(gauges.state())
    again = Gauges(msgspec.json.decode(body, type=list[Gauge]))
    assert again.state() == gauges.state()
    again.sell("x", 2, NOW_MS)
    assert value(again, "stock_gap") == 0
