"""How a case moves when a person decides."""

from __future__ import annotations

import msgspec

from monitor.core.takeover.steps import (
    OPEN_ATTEMPT,
    Step,
    claim_key,
    escalated,
    lock_away,
    ready,
    release_effect,
    resolved,
    start_hand_over,
    submit_key,
)
from monitor.model.records import CaseResolved
from monitor.model.settings import Settings
from monitor.model.takeovers import Attempt, AttemptState, CaseState, TakeoverCase

# What a person's word ends the case with: state and resolution.
ENDS = {
    "delivered": (CaseState.DELIVERED, "closed_by_person"),
    "alternative": (CaseState.DELIVERED, "alternative"),
    "refunded": (CaseState.VOIDED, "refunded"),
}
# Escalations in which the order is still claimed, so that the machine can go on.
STILL_CLAIMED = (
    "manual_queue",
    "goods_at_channel",
    "unknown_outcome",
    "unresolved",
    "accepted_then_not_found",
    "hand_over_refused",
    "second_word",
)


def person_decided(
    case: TakeoverCase, order: CaseResolved, settings: Settings, now_ms: int
) -> Step:
    """Close the case, or (`not_delivered`) let the machine go on where it had to stop.

    Nothing is released: the shop must not deliver what a person has delivered or refunded.
    """
    cancels = tuple(
        submit_key(attempt.ref)
        for attempt in case.attempts
        if attempt.state == AttemptState.SUBMITTING
    )
    if order.resolution == "cancelled":
        return person_cancelled(case, order, settings, now_ms)
    if order.resolution in ENDS:
        state, resolution = ENDS[order.resolution]
        locked = lock_away(case)
        case = resolved(locked.case, state, resolution, now_ms)
        return Step(case, locked.effects, cancels)
    if order.resolution != "not_delivered" or not _can_go_on(case):
        return Step(case)
    step = _go_on(msgspec.structs.replace(case, first_word_of=None), now_ms)
    return msgspec.structs.replace(step, cancels=cancels)


def person_cancelled(
    case: TakeoverCase, order: CaseResolved, _settings: Settings, now_ms: int
) -> Step:
    """Take our hands off the order and give it back to its shop, if nothing can have been bought.

    Nothing changes while an attempt is open or its goods are here: then the case needs a word about
    the goods (delivered, refunded, not delivered), not about us.
    """
    is_free = all(one.state == AttemptState.DISPROVED for one in case.attempts)
    if order.resolution != "cancelled" or not is_free:
        return Step(case)
    keys = (claim_key(case),) if case.state == CaseState.CLAIMING else ()
    is_advice = case.state == CaseState.ADVISED
    over = resolved(case, CaseState.VOIDED, "closed_by_person", now_ms)
    effects = () if is_advice else (release_effect(over, "cancelled_by_person"),)
    return Step(over, effects, keys)


def _can_go_on(case: TakeoverCase) -> bool:
    if case.state in (CaseState.ACCEPTED, CaseState.UNKNOWN):
        return True
    is_claimed = case.escalated_reason in STILL_CLAIMED and case.claim_expires_ms > 0
    return case.state == CaseState.ESCALATED and is_claimed


def _go_on(case: TakeoverCase, now_ms: int) -> Step:
    """Goods in the vault are handed over again (the same ones); else the next channel is tried."""
    for attempt in case.attempts:
        if attempt.state == AttemptState.OBTAINED:
            if now_ms >= case.claim_expires_ms:
                return Step(escalated(case, "claim_expired", now_ms))
            return start_hand_over(case, attempt, now_ms)
    attempts = tuple(_disproved(attempt) for attempt in case.attempts)
    return ready(case, now_ms, attempts=attempts)


def _disproved(attempt: Attempt) -> Attempt:
    if attempt.state not in OPEN_ATTEMPT:
        return attempt
    return msgspec.structs.replace(attempt, state=AttemptState.DISPROVED, reason="person")
