"""The moves of one callback, as a literal table.

            ┌────────────────────────── HELD, LEFT ──────────────────────────┐
            │                                                                ▼
    WAITING ┴─ SEND ─► SENDING ─┬─ accepted ─────────────► ACCEPTED        OWED ─ OVER ─► UNDELIVERED
                          ▲     ├─ refused, unclear, down ──────────────────►│
                          └─────┼──────────────── SEND ──────────────────────┘
                                └─ of what is no duty ────► PASSED

A duty is on the disk before anything else is done with it, so a process that dies leaves it OWED.
What is no duty ends with the gateway's request, however that ends.
"""

from __future__ import annotations

from enum import StrEnum

from monitor.model.relay import Kind, State, Verdict


class Input(StrEnum):
    """What happens to a callback."""

    SEND = "send"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNCLEAR = "unclear"
    DOWN = "down"
    HELD = "held"  # the shop is known to be down: nothing is sent
    LEFT = "left"  # the gateway waits no longer
    OVER = "over"  # the deadline has passed


OF_VERDICT = {
    Verdict.ACCEPTED: Input.ACCEPTED,
    Verdict.REFUSED: Input.REFUSED,
    Verdict.UNCLEAR: Input.UNCLEAR,
    Verdict.DOWN: Input.DOWN,
}

_DUTY: dict[tuple[State, Input], State] = {
    (State.WAITING, Input.SEND): State.SENDING,
    (State.WAITING, Input.HELD): State.OWED,
    (State.WAITING, Input.LEFT): State.OWED,
    (State.SENDING, Input.ACCEPTED): State.ACCEPTED,
    (State.SENDING, Input.REFUSED): State.OWED,
    (State.SENDING, Input.UNCLEAR): State.OWED,
    (State.SENDING, Input.DOWN): State.OWED,
    (State.SENDING, Input.LEFT): State.SENDING,
    (State.OWED, Input.SEND): State.SENDING,
    (State.OWED, Input.LEFT): State.OWED,
    (State.OWED, Input.OVER): State.UNDELIVERED,
}
_NO_DUTY: dict[tuple[State, Input], State] = {
    (State.WAITING, Input.SEND): State.SENDING,
    (State.WAITING, Input.HELD): State.PASSED,
    (State.WAITING, Input.LEFT): State.PASSED,
    (State.SENDING, Input.ACCEPTED): State.ACCEPTED,
    (State.SENDING, Input.REFUSED): State.PASSED,
    (State.SENDING, Input.UNCLEAR): State.PASSED,
    (State.SENDING, Input.DOWN): State.PASSED,
    (State.SENDING, Input.LEFT): State.SENDING,
}
TABLE: dict[Kind, dict[tuple[State, Input], State]] = {
    Kind.DUTY: _DUTY,
    Kind.PASSING: _NO_DUTY,
    Kind.PLAIN: _NO_DUTY,
}


def moved(kind: Kind, state: State, happened: Input) -> State:
    """The state after something happened; what is not in the table cannot happen."""
    following = TABLE[kind].get((state, happened))
    assert following is not None, f"{happened} of a {kind} that is {state}"
    return following


def kind_of(meaning: str, *, is_forged: bool, has_order: bool) -> Kind:
    """What is owed for a callback by its meaning: money that moved, or only a message."""
    if is_forged or not has_order:
        return Kind.PLAIN
    if meaning in ("paid", "refunded"):
        return Kind.DUTY
    return Kind.PASSING if meaning in ("waiting", "expired") else Kind.PLAIN
