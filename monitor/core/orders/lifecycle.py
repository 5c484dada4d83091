"""The life cycle of an order, and its verdict, as two literal tables read from top to bottom.

    created ─► paid ─► accepted ─► reserved ─► attempting ─► delivered ─► verified
       └─────────┴──────────┴─────────┴────────────┴──► failed | cancelled | refunded

A state is not stepped through: events arrive in any order, so the state is looked up from the
facts. The first row whose fact is known wins.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from monitor.core.orders.facts import Facts

STATES: tuple[tuple[str, str], ...] = (
    ("refunded_ms", "refunded"),
    ("verified_ms", "verified"),
    ("delivered_ms", "delivered"),
    ("failed_ms", "failed"),
    ("cancelled_ms", "cancelled"),
    ("attempted_ms", "attempting"),
    ("reserved_ms", "reserved"),
    ("accepted_ms", "accepted"),
    ("paid_ms", "paid"),
)


class Verdict(StrEnum):
    """Good or bad, once per order (contract §2)."""

    UNPAID = "unpaid"
    GOOD = "good"
    LATE_DELIVERED = "late_delivered"
    FAILED = "failed"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"
    LATE_PENDING = "late_pending"
    UNDECIDED = "undecided"


_GOOD = Verdict.GOOD  # a member of an enum is looked up anew each time
VERDICTS: tuple[tuple[Callable[[Facts, int], bool], Verdict], ...] = (
    (lambda facts, at_ms: facts.paid_ms is None, Verdict.UNPAID),
    (lambda facts, at_ms: _is_delivered_in_time(facts), Verdict.GOOD),
    (lambda facts, at_ms: facts.delivered_ms is not None, Verdict.LATE_DELIVERED),
    (lambda facts, at_ms: facts.failed_ms is not None, Verdict.FAILED),
    (lambda facts, at_ms: facts.refunded_ms is not None, Verdict.REFUNDED),
    (lambda facts, at_ms: facts.cancelled_ms is not None, Verdict.CANCELLED),
    (lambda facts, at_ms: is_overdue(facts, at_ms), Verdict.LATE_PENDING),  # noqa: PLW0108 - below
    (lambda facts, at_ms: True, Verdict.UNDECIDED),
)


def state(facts: Facts) -> str:
    """Where the order stands, by the first row of `STATES` whose fact is known."""
    for fact, name in STATES:
        if getattr(facts, fact) is not None:
            return name
    return "created"


def verdict(facts: Facts, at_ms: int) -> Verdict:
    """Judge an order at a time: a pure function of its facts, revised when a late fact arrives."""
    if _is_delivered_in_time(facts):
        return _GOOD  # nearly always: spare the walk down the table
    return next(name for holds, name in VERDICTS if holds(facts, at_ms))


def is_overdue(facts: Facts, at_ms: int) -> bool:
    """Whether the promise has passed; exactly at the promise is still in time."""
    return facts.paid_ms is not None and at_ms - facts.paid_ms > facts.promise_ms


def is_breach(facts: Facts, at_ms: int) -> bool:
    """Whether at paid + promise the order was neither delivered nor closed."""
    deadline_ms = facts.deadline_ms
    if deadline_ms is None or at_ms <= deadline_ms:
        return False
    done_ms = facts.done_ms
    return done_ms is None or done_ms > deadline_ms


def _is_delivered_in_time(facts: Facts) -> bool:
    if facts.delivered_ms is None or facts.paid_ms is None:
        return False
    return facts.delivered_ms - facts.paid_ms <= facts.promise_ms
