"""What a buyer is told, by hand."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.signals.eta import Eta, estimate, quote
from monitor.core.signals.survival import NEVER_MS, SurvivalCurve, cohort
from tests.unit.core.signals.strategies import ages_ms, bools, int64, unhurried

PAID_MS = 1_700_000_000_000


class Sight(NamedTuple):
    source_silent: bool = False
    incident: bool = False


def even(n: int, stuck: int = 0) -> SurvivalCurve:
    """Deliveries evenly over 1 … 100 s, and some that never come."""
    delays = [round(100_000 * (i + 1) / n) for i in range(n)]
    return cohort(int64(delays + [NEVER_MS] * stuck), bools([True] * n + [False] * stuck))


def told(curve: SurvivalCurve, age_ms: int, sight: Sight = Sight()) -> Eta:  # noqa: B008 - a tuple
    return estimate(
        curve,
        PAID_MS,
        80_000,
        PAID_MS + age_ms,
        source_silent=sight.source_silent,
        incident=sight.incident,
        next_word_ms=120_000,
    )


def test_fresh_order_is_given_the_whole_distribution() -> None:
    """Median 50 s, p90 90 s after paid; a fifth is later than 80 s; next word in 2 min."""
    eta = told(even(1_000), 0)
    assert (eta.promised_at_ms, eta.next_word_at_ms) == (PAID_MS + 80_000, PAID_MS + 120_000)
    assert (eta.p50_at_ms, eta.p90_at_ms) == (PAID_MS + 50_000, PAID_MS + 90_000)
    assert (eta.confidence, eta.reason) == ("high", None)
    assert eta.p_late == pytest.approx(0.2)


def test_waiting_moves_the_estimate() -> None:
    """At 60 s half of the rest come by 80 s and 90 % by 96 s; half will break the promise."""
    eta = told(even(1_000), 60_000)
    assert eta.p50_at_ms == PAID_MS + 80_000
    assert eta.p90_at_ms == PAID_MS + 96_000
    assert eta.p_late == pytest.approx(0.5)
    assert eta.next_word_at_ms == PAID_MS + 180_000


def test_late_order_is_certainly_late() -> None:
    """Past the promise the probability is one; ten more seconds are no wide range."""
    eta = told(even(1_000), 90_000)
    assert (eta.p_late, eta.confidence) == (1.0, "high")
    assert (eta.p50_at_ms, eta.p90_at_ms) == (PAID_MS + 95_000, PAID_MS + 99_000)


@pytest.mark.parametrize(
    ("n", "confidence", "reason"),
    [
        (19, "low", "few_data"),
        (20, "medium", "few_data"),
        (199, "medium", "few_data"),
        (200, "high", None),
    ],
)
def test_confidence_grows_with_deliveries_seen(n: int, confidence: str, reason: str | None) -> None:
    """Below 20 no time is promised, below 200 one with a caveat."""
    eta = told(even(n), 0)
    assert (eta.confidence, eta.reason) == (confidence, reason)
    assert (eta.p50_at_ms is None) == (confidence == "low")
    assert (eta.p90_at_ms is None) == (confidence == "low")


def test_silent_source_is_told_as_not_knowing() -> None:
    """No time, no probability, only the next word; it outranks an incident."""
    eta = told(even(1_000), 0, Sight(source_silent=True, incident=True))
    assert (eta.confidence, eta.reason) == ("low", "source_silent")
    assert (eta.p50_at_ms, eta.p90_at_ms, eta.p_late) == (None, None, None)
    assert eta.next_word_at_ms == PAID_MS + 120_000


def test_incident_promises_no_time() -> None:
    """Past delays are no guide while something is broken."""
    eta = told(even(1_000), 0, Sight(incident=True))
    assert (eta.confidence, eta.reason, eta.p50_at_ms) == ("low", "incident", None)
    assert eta.p_late == pytest.approx(0.2)


def test_unreached_percentiles_are_null_and_volatile() -> None:
    """A third stuck: p50 stands, p90 is unknown; two thirds stuck: nothing is promised."""
    third = told(even(400, stuck=200), 0)
    assert (third.confidence, third.reason, third.p90_at_ms) == ("medium", "volatile", None)
    assert third.p50_at_ms == PAID_MS + 75_000
    most = told(even(400, stuck=800), 0)
    assert (most.confidence, most.reason, most.p50_at_ms) == ("low", "volatile", None)


def test_wide_spread_is_volatile() -> None:
    """Median 2 s and p90 200 s: both are said, with a warning."""
    curve = cohort(int64([2_000] * 300 + [200_000] * 60), bools([True] * 360))
    eta = told(curve, 0)
    assert (eta.confidence, eta.reason) == ("medium", "volatile")
    assert (eta.p50_at_ms, eta.p90_at_ms) == (PAID_MS + 2_000, PAID_MS + 200_000)


def test_order_older_than_any_seen_gets_no_time() -> None:
    """Nobody in the data waited this long."""
    eta = told(even(1_000), 200_000)
    assert (eta.confidence, eta.reason, eta.p50_at_ms, eta.p_late) == ("low", "volatile", None, 1.0)


def test_quote_before_buying() -> None:
    """The same distribution in seconds from now."""
    found = quote(even(1_000), 80_000)
    assert (found.p50_s, found.p90_s, found.promise_s, found.n) == (50.0, 90.0, 80.0, 1_000)
    assert found.p_late == pytest.approx(0.2)


def test_quote_without_orders_says_nothing() -> None:
    """No numbers, and n = 0 says why."""
    found = quote(cohort(int64([]), bools([])), 180_000)
    assert (found.p50_s, found.p90_s, found.p_late, found.n) == (None, None, None, 0)


spans_ms = st.integers(-(10**12), 10**13)


@unhurried
@given(
    st.lists(st.tuples(ages_ms, st.booleans()), max_size=30),
    spans_ms,
    spans_ms,
    st.booleans(),
    st.booleans(),
)
def test_any_history_gives_a_defined_answer(
    rows: list[tuple[int, bool]], promise_ms: int, now_ms: int, silent: bool, incident: bool
) -> None:
    """No exception, no NaN, and no time is promised that has already passed."""
    curve = cohort(int64([row[0] for row in rows]), bools([row[1] for row in rows]))
    eta = estimate(
        curve,
        0,
        promise_ms,
        now_ms,
        source_silent=silent,
        incident=incident,
        next_word_ms=promise_ms,
    )
    assert eta.p_late is None or 0.0 <= eta.p_late <= 1.0
    assert eta.next_word_at_ms >= now_ms
    if eta.p50_at_ms is not None:
        assert eta.p50_at_ms >= now_ms
        assert eta.p90_at_ms is None or eta.p90_at_ms >= eta.p50_at_ms
    found = quote(curve, promise_ms)
    assert found.p_late is None or 0.0 <= found.p_late <= 1.0
