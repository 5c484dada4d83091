"""The two tables of the life cycle, row by row and in every combination of facts."""

from itertools import product
from typing import Any

import pytest

from monitor.core.orders.facts import Facts
from monitor.core.orders.lifecycle import STATES, is_breach, is_overdue, state, verdict

KNOWN: dict[str, Any] = {"promise_ms": 100}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, "created"),
        ({"paid_ms": 1}, "paid"),
        ({"paid_ms": 1, "accepted_ms": 2}, "accepted"),
        ({"paid_ms": 1, "reserved_ms": 2}, "reserved"),
        ({"paid_ms": 1, "reserved_ms": 2, "attempted_ms": 3}, "attempting"),
        ({"paid_ms": 1, "attempted_ms": 3, "cancelled_ms": 4}, "cancelled"),
        ({"paid_ms": 1, "cancelled_ms": 4, "failed_ms": 5}, "failed"),
        ({"paid_ms": 1, "failed_ms": 5, "delivered_ms": 6}, "delivered"),
        ({"paid_ms": 1, "delivered_ms": 6, "verified_ms": 7}, "verified"),
        ({"paid_ms": 1, "verified_ms": 7, "refunded_ms": 8}, "refunded"),
    ],
)
def test_furthest_known_fact_names_the_state(facts: dict[str, Any], expected: str) -> None:
    """Every row of the table, against the row below it."""
    assert state(Facts(**facts)) == expected


def test_every_combination_of_facts_has_one_state_and_one_verdict() -> None:
    """All 2^9 sets of facts and all instants around the promise are judged as the contract says."""
    names = [fact for fact, _ in STATES]
    for flags in product((False, True), repeat=len(names)):
        given: dict[str, Any] = dict.fromkeys(
            [name for name, is_set in zip(names, flags, strict=True) if is_set], 5
        )
        facts = Facts(**given, **KNOWN)
        assert state(facts) in {name for _, name in STATES} | {"created"}
        for at_ms in (0, 105, 106):
            assert verdict(facts, at_ms) == verdict_by_hand(given, at_ms)


def verdict_by_hand(given: dict[str, int], at_ms: int) -> str:
    if "paid_ms" not in given:
        return "unpaid"
    if "delivered_ms" in given:
        return "good"  # delivered at 5, paid at 5, promise 100
    for fact, name in (("failed_ms", "failed"), ("refunded_ms", "refunded")):
        if fact in given:
            return name
    if "cancelled_ms" in given:
        return "cancelled"
    return "late_pending" if at_ms > 105 else "undecided"


@pytest.mark.parametrize("delivered_ms", [None, 104, 105, 106])
@pytest.mark.parametrize("closed_ms", [None, 104, 105, 106])
@pytest.mark.parametrize("at_ms", [105, 106, 500])
def test_breach_looks_only_at_what_was_done_by_the_promise(
    delivered_ms: int | None, closed_ms: int | None, at_ms: int
) -> None:
    """Paid at 5 with a promise of 100: done by 105 is no breach, and none before 106."""
    facts = Facts(paid_ms=5, delivered_ms=delivered_ms, cancelled_ms=closed_ms, **KNOWN)
    is_done_in_time = delivered_ms in (104, 105) or closed_ms in (104, 105)
    assert is_breach(facts, at_ms) is (at_ms > 105 and not is_done_in_time)
    assert is_overdue(facts, at_ms) is (at_ms > 105)
