"""How a case moves when the shop answers, finishes the order itself, or stays silent."""

from __future__ import annotations

import msgspec

from monitor.core.takeover.limits import is_foreign
from monitor.core.takeover.steps import (
    Step,
    claim_key,
    escalated,
    hand_over_key,
    lock_away,
    ready,
    release_effect,
    resolved,
    submit_key,
)
from monitor.model.records import ClaimAnswered, HandOverAnswered
from monitor.model.settings import Settings
from monitor.model.takeovers import AttemptState, CaseState, TakeoverCase


class Finished(msgspec.Struct, frozen=True):
    """The shop reports the order closed: delivered, refunded, failed or cancelled.

    `takeover_id` is set when the shop reports a delivery as our own hand-over.
    """

    kind: str
    takeover_id: str | None = None


RESOLUTION_OF = {
    "delivered": "delivered_primary",
    "refunded": "refunded",
    "failed": "failed",
    "cancelled": "cancelled",
}

# --- claim --------------------------------------------------------------------------------------


def claim_answered(
    case: TakeoverCase, answer: ClaimAnswered, settings: Settings, now_ms: int, refused: str | None
) -> Step:
    """Granted and paid: deliver what the shop says was bought. Anything else ends our part.

    `refused` names the limit that the true amount breaks, if any. An answer to an earlier claim of
    the case says nothing of this one: its fence is older.
    """
    if answer.effect_key != claim_key(case):
        return Step(case)
    if answer.status == "already_delivered":
        return Step(resolved(case, CaseState.VOIDED, "delivered_primary", now_ms))
    if answer.status != "granted":
        return Step(escalated(case, "claim_denied", now_ms))
    # The shop's answer replaces what the event said: a forged event gets nobody a key.
    case = msgspec.structs.replace(
        case, sku=answer.sku, quantity=answer.quantity, amount_minor=answer.amount_minor
    )
    objection = _objection(case, answer, settings) or refused
    if objection is not None:
        release = release_effect(case, objection)
        return Step(escalated(case, objection, now_ms), (release,))
    return ready(case, now_ms)


def _objection(case: TakeoverCase, answer: ClaimAnswered, settings: Settings) -> str | None:
    """Why a granted order must not be delivered by us."""
    if not answer.paid:
        return "shop_says_unpaid"
    if is_foreign(settings, case.currency):
        return "currency_mismatch"  # the limits are amounts of our currency
    if answer.amount_minor is None or answer.amount_minor < 0:
        return "amount_unknown"  # neither the loss guard nor the daily limit can hold
    return None if answer.quantity >= 1 else "bad_quantity"


def claim_too_late(
    case: TakeoverCase,
    answer: ClaimAnswered,
    _settings: Settings,
    now_ms: int,
    _refused: str | None,
) -> Step:
    """A grant after we gave up: give the order back, or the shop would wait for us for ever."""
    is_meant = answer.effect_key == claim_key(case)
    if not is_meant or answer.status != "granted" or case.escalated_reason != "shop_unreachable":
        return Step(case)
    release = release_effect(case, "granted_too_late")
    return Step(escalated(case, "granted_too_late", now_ms), (release,))


def wake_for_claim(case: TakeoverCase, _settings: Settings, now_ms: int) -> Step:
    """The shop has not answered the claim in time."""
    return Step(escalated(case, "shop_unreachable", now_ms), cancels=(claim_key(case),))


# --- hand-over ----------------------------------------------------------------------------------


def hand_over_answered(
    case: TakeoverCase, answer: HandOverAnswered, _settings: Settings, now_ms: int
) -> Step:
    """The shop took the goods, has delivered itself, or refuses."""
    match answer.outcome:
        case "delivered":
            return Step(resolved(case, CaseState.DELIVERED, "delivered_fallback", now_ms))
        case "already_delivered":
            locked = lock_away(case)
            case = resolved(locked.case, CaseState.VOIDED, "delivered_primary", now_ms)
            return Step(case, locked.effects)
        case _:
            return Step(escalated(case, "hand_over_refused", now_ms))


def hand_over_too_late(
    case: TakeoverCase, answer: HandOverAnswered, settings: Settings, now_ms: int
) -> Step:
    """An answer to a hand-over of a case that a person has: the shop's word still settles it."""
    is_ours = answer.outcome in ("delivered", "already_delivered") and case.hand_overs > 0
    return hand_over_answered(case, answer, settings, now_ms) if is_ours else Step(case)


def wake_for_hand_over(case: TakeoverCase, _settings: Settings, now_ms: int) -> Step:
    """The claim ended while the shop took nothing: it may deliver itself now."""
    case_now = escalated(case, "claim_expired", now_ms)
    return Step(case_now, cancels=(hand_over_key(case),))


# --- the shop finishes the order itself -----------------------------------------------------------


def finished_unclaimed(case: TakeoverCase, event: Finished, now_ms: int) -> Step:
    """No shop was asked: there is nothing to give back."""
    return Step(resolved(case, CaseState.VOIDED, RESOLUTION_OF[event.kind], now_ms))


def finished_before_submit(case: TakeoverCase, event: Finished, now_ms: int) -> Step:
    """Nothing was bought: give the order back at once."""
    cancels = (claim_key(case),) if case.state == CaseState.CLAIMING else ()
    case = resolved(case, CaseState.VOIDED, RESOLUTION_OF[event.kind], now_ms)
    return Step(case, (release_effect(case, "voided"),), cancels)


def finished_while_open(case: TakeoverCase, event: Finished, now_ms: int) -> Step:
    """Something may have been bought: keep asking, never hand it over."""
    cancels = tuple(
        submit_key(attempt.ref)
        for attempt in case.attempts
        if attempt.state == AttemptState.SUBMITTING
    )
    resolution = RESOLUTION_OF[event.kind]
    case = resolved(case, CaseState.VOIDED, resolution, now_ms, wake_ms=case.wake_ms)
    return Step(case, cancels=cancels)


def finished_while_handing_over(case: TakeoverCase, event: Finished, now_ms: int) -> Step:
    """The shop decides by its 409 which delivery counts; only a refund stops ours from here."""
    if event.kind != "refunded":
        return Step(case)
    locked = lock_away(case)
    cancels = (hand_over_key(case),)
    return Step(
        resolved(locked.case, CaseState.VOIDED, "refunded", now_ms), locked.effects, cancels
    )


def finished_while_escalated(case: TakeoverCase, event: Finished, now_ms: int) -> Step:
    """The person need not act any more; a delivery under our name was ours, or that person's."""
    if event.kind == "delivered" and event.takeover_id == case.takeover_id:
        resolution = "delivered_fallback" if case.hand_overs else "closed_by_person"
        return Step(resolved(case, CaseState.DELIVERED, resolution, now_ms))
    locked = lock_away(case)
    case = resolved(locked.case, CaseState.VOIDED, RESOLUTION_OF[event.kind], now_ms)
    return Step(case, locked.effects)
