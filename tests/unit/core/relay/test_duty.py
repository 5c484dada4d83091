"""The table of a callback's moves: what is owed stays owed, what is not never becomes it."""

from __future__ import annotations

import pytest

from monitor.core.relay.duty import TABLE, Input, kind_of, moved
from monitor.model.relay import OPEN, Kind, State


def reachable(kind: Kind) -> set[State]:
    """States that some row of the table leads to."""
    return {State.WAITING, *TABLE[kind].values()}


def test_duty_ends_with_the_shop_or_with_a_person() -> None:
    """There is no third way out for money: neither a refusal nor a gateway that leaves ends it."""
    ends = reachable(Kind.DUTY) - {*OPEN}
    assert ends == {State.ACCEPTED, State.UNDELIVERED}
    assert all(state in OPEN for state, _ in TABLE[Kind.DUTY])


@pytest.mark.parametrize("kind", [Kind.PASSING, Kind.PLAIN])
def test_what_is_no_duty_is_never_owed(kind: Kind) -> None:
    """A gateway that waits, a stranger: the relay never says yes in the place of the shop."""
    assert State.OWED not in reachable(kind)
    assert reachable(kind) - {*OPEN} == {State.ACCEPTED, State.PASSED}


@pytest.mark.parametrize("kind", list(Kind))
def test_request_at_the_shop_is_not_lost_sight_of(kind: Kind) -> None:
    """Whoever leaves meanwhile, the answer is waited for: no second request beside it."""
    assert moved(kind, State.SENDING, Input.LEFT) == State.SENDING


def test_move_that_cannot_be_stops_the_program() -> None:
    """An answer without a request would be a mistake of the relay's own."""
    with pytest.raises(AssertionError):
        moved(Kind.DUTY, State.WAITING, Input.ACCEPTED)


@pytest.mark.parametrize(
    ("meaning", "is_forged", "has_order", "kind"),
    [
        ("paid", False, True, Kind.DUTY),
        ("refunded", False, True, Kind.DUTY),
        ("waiting", False, True, Kind.PASSING),
        ("expired", False, True, Kind.PASSING),
        ("unknown", False, True, Kind.PLAIN),
        ("paid", True, True, Kind.PLAIN),
        ("paid", False, False, Kind.PLAIN),
    ],
)
def test_kind_follows_from_meaning_and_signature(
    meaning: str, is_forged: bool, has_order: bool, kind: Kind
) -> None:
    """Only money that moved is a duty, and only if its signature is not wrong."""
    assert kind_of(meaning, is_forged=is_forged, has_order=has_order) == kind
