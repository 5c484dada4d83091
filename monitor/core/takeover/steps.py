"""What a transition gives back, the effects it may ask for, and the keys that name them.

A key names an effect after its cause, so a decision folded twice still asks once: the outbox
keeps one row per key.
"""

from __future__ import annotations

from typing import Any

import msgspec

from monitor.model.effects import Claim, Effect, HandOver, Quarantine, Release
from monitor.model.ids import derived_id
from monitor.model.records import AttemptAnswered, ClaimAnswered, HandOverAnswered
from monitor.model.takeovers import (
    CLOCK_PLAY_MS,
    Attempt,
    AttemptState,
    CaseState,
    TakeoverCase,
)
from monitor.model.times import MINUTE_MS

CaseAnswer = ClaimAnswered | AttemptAnswered | HandOverAnswered

CLAIM_WITHIN_MS = 10 * MINUTE_MS  # a shop that is silent for longer is a person's matter

# An attempt in one of these may have bought, or may still buy, a key.
OPEN_ATTEMPT = (AttemptState.SUBMITTING, AttemptState.ACCEPTED, AttemptState.UNKNOWN)


class Step(msgspec.Struct, frozen=True):
    """The case as it is now, the effects to queue, and keys of unsent effects to drop.

    Nothing happened when `case` is the very object that went in and `effects` is empty.
    """

    case: TakeoverCase
    effects: tuple[Effect, ...] = ()
    cancels: tuple[str, ...] = ()


def takeover_id_of(order_id: str, fence: int) -> str:
    """Name the case of an order; the fence tells a second case of the same order from the first."""
    return derived_id("tko", order_id, str(fence))


def claim_id_of(order_id: str, fence: int) -> str:
    """Name the claim: stable, so that the shop gives a repeated claim the same answer."""
    return derived_id("clm", order_id, str(fence))


def attempt_ref_of(takeover_id: str, channel: str, number: int) -> str:
    """Name an attempt; this goes to the channel as its idempotency key."""
    return derived_id("att", takeover_id, channel, str(number))


def claim_key(case: TakeoverCase) -> str:
    """Key of the claim effect."""
    return f"claim_{case.claim_id}"


def submit_key(attempt_ref: str) -> str:
    """Key of the one submit of an attempt."""
    return f"submit_{attempt_ref}"


def query_key(attempt_ref: str, number: int) -> str:
    """Key of the n-th question about an attempt, counted from 1."""
    return f"query_{attempt_ref}_{number}"


def hand_over_key(case: TakeoverCase) -> str:
    """Key of the newest hand-over of the case."""
    return f"hand_over_{case.takeover_id}_{case.hand_overs}"


def moved(case: TakeoverCase, now_ms: int, **changes: Any) -> TakeoverCase:
    """Copy the case with the changes and the time of the change."""
    return msgspec.structs.replace(case, changed_ms=now_ms, **changes)


def resolved(
    case: TakeoverCase, state: CaseState, resolution: str, now_ms: int, **changes: Any
) -> TakeoverCase:
    """End the case; a resolution that stands is never replaced."""
    assert case.resolution is None, "a resolution is set once"
    changes = {"wake_ms": None, **changes}
    return moved(case, now_ms, state=state, resolution=resolution, **changes)


def escalated(case: TakeoverCase, reason: str, now_ms: int) -> TakeoverCase:
    """Give the case to a person; the machine does nothing more by itself."""
    return moved(case, now_ms, state=CaseState.ESCALATED, escalated_reason=reason, wake_ms=None)


def ready(case: TakeoverCase, now_ms: int, **changes: Any) -> Step:
    """The order is ours and nothing is open: the machine chooses a channel in the same step."""
    unheld = {"waits_for": None, "waits_because": None, "waits_since_ms": 0, "wake_ms": now_ms}
    return Step(moved(case, now_ms, state=CaseState.CLAIMED, **{**unheld, **changes}))


def rewound(case: TakeoverCase, now_ms: int) -> TakeoverCase:
    """The case after the clock was set back: what is to come keeps its distance from now.

    What the shop was told, the end of the claim, stands.
    """
    return _shifted(case, now_ms - case.changed_ms, now_ms)


def slept(case: TakeoverCase, away_ms: int, now_ms: int) -> TakeoverCase:
    """The case after we were away for so long: nobody's patience ran meanwhile.

    The end of the claim stands, so nothing is put off beyond it.
    """
    case = _shifted(case, away_ms, now_ms)
    if case.wake_ms is None:
        return case
    wake_ms = min(case.wake_ms, max(now_ms, case.claim_expires_ms))
    return msgspec.structs.replace(case, wake_ms=wake_ms)


def _shifted(case: TakeoverCase, by_ms: int, now_ms: int) -> TakeoverCase:
    """The case with everything that it waits for put off, or brought nearer."""
    attempts = tuple(
        msgspec.structs.replace(
            attempt,
            submitted_ms=attempt.submitted_ms + by_ms,
            settle_until_ms=attempt.settle_until_ms + by_ms,
            throttled_until_ms=_by(attempt.throttled_until_ms, min(by_ms, 0)),
        )
        for attempt in case.attempts
    )
    wake_ms = None if case.wake_ms is None else case.wake_ms + by_ms
    since_ms = _by(case.waits_since_ms, by_ms)
    return moved(case, now_ms, attempts=attempts, wake_ms=wake_ms, waits_since_ms=since_ms)


def _by(at_ms: int, by_ms: int) -> int:
    return max(0, at_ms + by_ms) if at_ms else 0


def timely(answer: CaseAnswer, now_ms: int) -> CaseAnswer:
    """The answer, as if it came now if its time is far from ours.

    A service that was killed has logged it and decided nothing yet, perhaps by another clock.
    """
    if abs(answer.at_ms - now_ms) <= CLOCK_PLAY_MS:
        return answer
    return msgspec.structs.replace(answer, at_ms=now_ms)


def find_attempt(case: TakeoverCase, attempt_ref: str) -> Attempt | None:
    """The attempt of that name, or None if it is not ours."""
    return next((attempt for attempt in case.attempts if attempt.ref == attempt_ref), None)


def with_attempt(case: TakeoverCase, changed: Attempt) -> TakeoverCase:
    """Copy the case with one attempt replaced by its newer self."""
    attempts = tuple(changed if old.ref == changed.ref else old for old in case.attempts)
    return msgspec.structs.replace(case, attempts=attempts)


def claim_effect(case: TakeoverCase) -> Claim:
    """Ask the shop for the order."""
    return Claim(
        key=claim_key(case),
        takeover_id=case.takeover_id,
        order_id=case.order_id,
        claim_id=case.claim_id,
        fence=case.fence,
        expires_ms=case.claim_expires_ms,
    )


def release_effect(case: TakeoverCase, reason: str) -> Release:
    """Give the order back to the shop, once per reason."""
    return Release(
        key=f"release_{case.takeover_id}_{reason}",
        takeover_id=case.takeover_id,
        order_id=case.order_id,
        claim_id=case.claim_id,
        fence=case.fence,
        reason=reason,
    )


def hand_over_effect(case: TakeoverCase, attempt: Attempt) -> HandOver:
    """Give the goods of the attempt to the shop."""
    return HandOver(
        key=hand_over_key(case),
        takeover_id=case.takeover_id,
        order_id=case.order_id,
        claim_id=case.claim_id,
        fence=case.fence,
        channel=attempt.channel,
        attempt_ref=attempt.ref,
    )


def quarantine_effect(case: TakeoverCase, attempt: Attempt) -> Quarantine:
    """Lock the goods of the attempt away."""
    return Quarantine(
        key=f"quarantine_{attempt.ref}",
        takeover_id=case.takeover_id,
        attempt_ref=attempt.ref,
        channel=attempt.channel,
    )


def start_hand_over(case: TakeoverCase, attempt: Attempt, now_ms: int) -> Step:
    """Hand the obtained goods over; wakes when the claim ends without an answer of the shop."""
    case = moved(
        case,
        now_ms,
        state=CaseState.HANDING_OVER,
        hand_overs=case.hand_overs + 1,
        escalated_reason=None,
        wake_ms=case.claim_expires_ms,
    )
    return Step(case, (hand_over_effect(case, attempt),))


def lock_away(case: TakeoverCase) -> Step:
    """Quarantine every obtained goods of the case: from now on nobody may hand them out."""
    effects: list[Effect] = []
    for attempt in case.attempts:
        if attempt.state == AttemptState.OBTAINED:
            locked = msgspec.structs.replace(attempt, state=AttemptState.QUARANTINED)
            case = with_attempt(case, locked)
            effects.append(quarantine_effect(case, locked))
    return Step(case, tuple(effects))
