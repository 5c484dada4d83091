"""How a case moves when a channel has answered, or has not."""

from __future__ import annotations

import msgspec

from monitor.core.takeover.choosing import (
    max_cost,
    retry_same_at_ms,
    should_retry_same,
)
from monitor.core.takeover.learning import (
    DUPLICATE,
    NOT_FOUND_NEEDED,
    ask,
    channel_of,
    give_up_ms,
    is_askable,
    learn,
    next_ask_ms,
)
from monitor.core.takeover.steps import (
    OPEN_ATTEMPT,
    Step,
    escalated,
    find_attempt,
    moved,
    quarantine_effect,
    ready,
    release_effect,
    start_hand_over,
    submit_key,
    with_attempt,
)
from monitor.model.effects import Quarantine
from monitor.model.records import AttemptAnswered
from monitor.model.settings import Settings
from monitor.model.takeovers import SOLD_BEFORE, Attempt, AttemptState, CaseState, TakeoverCase


def attempt_while_open(
    case: TakeoverCase, answer: AttemptAnswered, settings: Settings, now_ms: int
) -> Step:
    """An answer while the machine waits for a channel: hand over, wait, ask, go on or escalate."""
    before = find_attempt(case, answer.attempt_ref)
    if before is None:
        return Step(case)
    if before.state not in OPEN_ATTEMPT:
        return attempt_too_late(case, answer, settings, now_ms)
    after = learn(before, answer, channel_of(settings, before.channel))
    if after == before:
        return Step(case)
    case = with_attempt(case, after)
    match after.state:
        case AttemptState.OBTAINED:
            return _obtained(case, after, settings, now_ms)
        case AttemptState.DISPROVED:
            return _disproved(case, after, answer, now_ms)
        case _:
            return _wait(case, after, settings, now_ms)


def attempt_too_late(
    case: TakeoverCase, answer: AttemptAnswered, settings: Settings, now_ms: int
) -> Step:
    """An answer that can no longer move the case: remember it, lock away goods that arrived."""
    before = find_attempt(case, answer.attempt_ref)
    if before is None:
        return Step(case)
    channel = channel_of(settings, before.channel)
    after = learn(before, answer, channel)
    if after == before:
        return Step(case)
    effects: tuple[Quarantine, ...] = ()
    if after.state in (AttemptState.OBTAINED, AttemptState.QUARANTINED):
        after = msgspec.structs.replace(after, state=AttemptState.QUARANTINED)
        effects = (quarantine_effect(case, after),)
    case = moved(with_attempt(case, after), now_ms)
    if case.state == CaseState.VOIDED and before.state in OPEN_ATTEMPT:
        is_open = after.state in OPEN_ATTEMPT
        wake_ms = next_ask_ms(after, channel, now_ms) if is_open else None
        case = msgspec.structs.replace(case, wake_ms=wake_ms)
    return Step(case, effects)


def wake_for_retry(case: TakeoverCase, _settings: Settings, now_ms: int) -> Step:
    """The pause before another try is over, or what the case waited for took too long."""
    return Step(moved(case, now_ms, state=CaseState.CLAIMED, wake_ms=now_ms))


def wake_for_answer(case: TakeoverCase, settings: Settings, now_ms: int) -> Step:
    """Ask what became of the open attempt, or give it to a person when patience ends."""
    attempt = next(attempt for attempt in case.attempts if attempt.state in OPEN_ATTEMPT)
    channel = channel_of(settings, attempt.channel)
    is_submitting = attempt.state == AttemptState.SUBMITTING
    cancels = (submit_key(attempt.ref),) if is_submitting else ()
    if now_ms >= case.claim_expires_ms:
        return Step(escalated(case, "claim_expired", now_ms), cancels=cancels)
    if is_submitting or not is_askable(channel, attempt) or now_ms >= give_up_ms(attempt, channel):
        return Step(escalated(case, "unresolved", now_ms), cancels=cancels)
    wake_ms = min(give_up_ms(attempt, channel), case.claim_expires_ms)
    return Step(moved(case, now_ms, wake_ms=wake_ms), (ask(case, attempt),))


def wake_after_void(case: TakeoverCase, settings: Settings, now_ms: int) -> Step:
    """Find out what an attempt of a voided case bought; it is never handed out."""
    attempt = next((one for one in case.attempts if one.state in OPEN_ATTEMPT), None)
    if attempt is None:
        return Step(moved(case, now_ms, wake_ms=None))
    channel = channel_of(settings, attempt.channel)
    is_submitting = attempt.state == AttemptState.SUBMITTING
    if is_submitting or not is_askable(channel, attempt) or now_ms >= give_up_ms(attempt, channel):
        perhaps = msgspec.structs.replace(attempt, state=AttemptState.QUARANTINED)
        return Step(moved(with_attempt(case, perhaps), now_ms, wake_ms=None))
    wake_ms = give_up_ms(attempt, channel)
    return Step(moved(case, now_ms, wake_ms=wake_ms), (ask(case, attempt),))


def _obtained(case: TakeoverCase, attempt: Attempt, settings: Settings, now_ms: int) -> Step:
    """Hand over, unless the goods are not what was ordered or the order is no longer ours."""
    limit = max_cost(case.amount_minor, channel_of(settings, attempt.channel), settings)
    if attempt.cost_minor is not None and limit is not None and attempt.cost_minor > limit:
        # Bought is bought: keeping the goods would only add a waiting buyer to the loss.
        attempt = msgspec.structs.replace(attempt, reason="cost_above_limit")
        case = with_attempt(case, attempt)
    if attempt.code == SOLD_BEFORE:
        return Step(escalated(case, SOLD_BEFORE, now_ms))
    if attempt.goods_count != case.quantity:
        return Step(escalated(case, "wrong_quantity", now_ms))
    if now_ms >= case.claim_expires_ms:
        return Step(escalated(case, "claim_expired", now_ms))
    return start_hand_over(case, attempt, now_ms)


def _disproved(case: TakeoverCase, attempt: Attempt, answer: AttemptAnswered, now_ms: int) -> Step:
    """Certainly not done: the same channel later, the next one now, or back to the shop."""
    is_rejection = answer.outcome == "rejected"
    if is_rejection and answer.retry == "never" and answer.blame == "order":
        release = release_effect(case, "order_refused")
        return Step(escalated(case, "order_refused", now_ms), (release,))
    if is_rejection and should_retry_same(case):
        wake_ms = min(retry_same_at_ms(case, attempt, now_ms), case.claim_expires_ms)
        return ready(case, now_ms, wake_ms=wake_ms)
    return ready(case, now_ms)


def _wait(case: TakeoverCase, attempt: Attempt, settings: Settings, now_ms: int) -> Step:
    """Accepted or unknown: ask later if the channel can be asked, else let a person ask."""
    channel = channel_of(settings, attempt.channel)
    if attempt.state == AttemptState.UNKNOWN and not is_askable(channel, attempt):
        return Step(escalated(case, "unknown_outcome", now_ms))
    if attempt.reason == DUPLICATE and not is_askable(channel, attempt):
        return Step(escalated(case, "goods_at_channel", now_ms))
    if attempt.not_found >= NOT_FOUND_NEEDED:
        return Step(escalated(case, "accepted_then_not_found", now_ms))
    wake_ms = min(next_ask_ms(attempt, channel, now_ms), case.claim_expires_ms)
    state = CaseState(attempt.state)
    return Step(moved(case, now_ms, state=state, wake_ms=wake_ms))
