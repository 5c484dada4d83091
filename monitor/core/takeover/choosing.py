"""Which channel delivers a claimed order next, and what it may cost.

The owner's `fallback.order` decides, but an opaque channel, of which a lost answer may never be
known, comes after all others before a person (R3). A channel is skipped if it held the order when
it got stuck, if the shop itself delivers through it (`external`), if it has been tried, or if what
it may charge is more than the order's amount and `max_loss_minor` allow. Nobody is asked while an
earlier attempt may still deliver. Who may not submit yet (`pace.Wait`) waits claimed, not for ever;
a claim that would run out meanwhile is made anew under the next fence.
"""

from __future__ import annotations

import msgspec

from monitor.core.takeover.learning import channel_of, give_up_ms, is_opaque, settle_of
from monitor.core.takeover.pace import AMBIGUOUS, PAUSED, THROTTLED, Gate, Wait
from monitor.core.takeover.steps import (
    CLAIM_WITHIN_MS,
    OPEN_ATTEMPT,
    Step,
    attempt_ref_of,
    claim_effect,
    claim_id_of,
    escalated,
    moved,
    release_effect,
    submit_key,
)
from monitor.model.effects import Submit
from monitor.model.ids import hash01
from monitor.model.settings import ChannelSettings, Settings
from monitor.model.takeovers import Attempt, AttemptState, CaseState, TakeoverCase
from monitor.model.times import HOUR_MS, MINUTE_MS, SECOND_MS

DELIVERING_KINDS = ("http", "stock", "manual", "shop_retry", "sim")
SAME_CHANNEL_MAX = 3  # attempts on one channel that keeps answering `retry: same`
RETRY_SAME_MS = 30 * SECOND_MS  # doubled each time
PASS_OVER_MS = MINUTE_MS  # a channel that wants to be left alone for longer is passed over
CLAIM_MARGIN_MS = 30 * MINUTE_MS  # a submit needs so long until its answer at worst
RECLAIMS_MAX = 3
# How long a claimed case waits, and what a person reads who gets it then.
PATIENCE = {
    PAUSED: (15 * MINUTE_MS, "channel_paused"),
    AMBIGUOUS: (15 * MINUTE_MS, "too_many_open"),
}
PATIENCE_ELSE = (HOUR_MS, "waited_too_long")


def next_attempt(case: TakeoverCase, settings: Settings, now_ms: int, gate: Gate) -> Step:
    """Submit to the next channel, wait for it, or give the order to a person and the shop."""
    assert not any(attempt.state in OPEN_ATTEMPT for attempt in case.attempts), (
        "no second channel while an earlier attempt may still deliver"
    )
    if any(attempt.state != AttemptState.DISPROVED for attempt in case.attempts):
        return Step(escalated(case, "goods_in_quarantine", now_ms))
    if now_ms >= _claim_until_ms(case, settings):
        return _claimed_again(case, settings, now_ms)
    refusal = gate.refusal(case, now_ms)
    channels = next_channels(case, settings)
    if refusal is None and not channels:
        refusal = "would_lose_money" if _untried(case, settings) else "no_channel_left"
    if refusal is not None:
        return Step(escalated(case, refusal, now_ms), (release_effect(case, refusal),))
    waits: list[tuple[ChannelSettings, Wait]] = []
    for channel in channels:
        wait = gate.wait(case, channel, now_ms)
        if wait is None:
            return _submit(case, channel, settings, now_ms)
        waits.append((channel, wait))
        if not is_passed_over(wait, now_ms):
            return _hold(case, channel, wait, settings, now_ms)
    return _hold(case, *waits[0], settings, now_ms)


def next_channels(case: TakeoverCase, settings: Settings) -> list[ChannelSettings]:
    """The channels that may be tried now, best first; empty when there is nothing left."""
    return [one for one in _untried(case, settings) if _is_affordable(case, one, settings)]


def is_passed_over(wait: Wait, now_ms: int) -> bool:
    """Whether the next channel is asked instead of waiting for this one."""
    if wait.reason == THROTTLED and wait.until_ms is not None:
        return wait.until_ms - now_ms > PASS_OVER_MS
    return wait.reason in (PAUSED, AMBIGUOUS)


def _hold(
    case: TakeoverCase, channel: ChannelSettings, wait: Wait, settings: Settings, now_ms: int
) -> Step:
    """Wait for a channel; who has waited too long goes to a person, and the order to the shop."""
    since_ms = now_ms if case.waits_for is None else case.waits_since_ms
    patience_ms, reason = PATIENCE.get(wait.reason, PATIENCE_ELSE)
    end_ms = since_ms + patience_ms
    if now_ms >= end_ms:
        return Step(escalated(case, reason, now_ms), (release_effect(case, reason),))
    wake_ms = min(end_ms, _claim_until_ms(case, settings))
    if wait.until_ms is not None:
        wake_ms = min(wake_ms, wait.until_ms)
    waiting = msgspec.structs.replace(
        case,
        state=CaseState.CLAIMED,
        wake_ms=wake_ms,
        waits_for=channel.name,
        waits_because=wait.reason,
        waits_since_ms=since_ms,
        escalated_reason=None,
    )
    return Step(case if waiting == case else moved(waiting, now_ms))


def _claim_until_ms(case: TakeoverCase, settings: Settings) -> int:
    """Until when a submit may begin, so that its goods can still be handed over."""
    return case.claim_expires_ms - min(CLAIM_MARGIN_MS, settings.fallback.claim_ttl_ms // 4)


def _claimed_again(case: TakeoverCase, settings: Settings, now_ms: int) -> Step:
    """Ask the shop once more, under the next fence: it may have delivered meanwhile."""
    if case.reclaims >= RECLAIMS_MAX:
        return Step(escalated(case, "claim_expired", now_ms))
    fence = case.fence + 1
    case = moved(
        case,
        now_ms,
        state=CaseState.CLAIMING,
        fence=fence,
        claim_id=claim_id_of(case.order_id, fence),
        claim_expires_ms=now_ms + settings.fallback.claim_ttl_ms,
        wake_ms=now_ms + CLAIM_WITHIN_MS,
        reclaims=case.reclaims + 1,
        escalated_reason=None,
    )
    return Step(case, (claim_effect(case),))


def _untried(case: TakeoverCase, settings: Settings) -> list[ChannelSettings]:
    """Channels whose turn may come, first the one that asked to be tried again."""
    again = [case.attempts[-1].channel] if should_retry_same(case) else []
    tried = [attempt.channel for attempt in case.attempts]
    order = settings.fallback.order
    if case.only_kind is not None:  # a person asked for it, so it need not be in our own order
        order = tuple(one.name for one in settings.channels if one.kind == case.only_kind)
    names = [name for name in order if name not in tried and name != case.held_by_channel]
    channels = [channel_of(settings, name) for name in (*again, *names)]
    kinds = DELIVERING_KINDS if case.only_kind is None else (case.only_kind,)
    return _opaque_last([channel for channel in channels if channel.kind in kinds])


def _opaque_last(channels: list[ChannelSettings]) -> list[ChannelSettings]:
    """Opaque channels behind all others, but not behind a person that comes after them."""
    people_before = 0
    ranked = []
    for index, channel in enumerate(channels):
        is_person = channel.kind == "manual"
        ranked.append((people_before, is_person, is_opaque(channel), index))
        people_before += is_person
    return [channels[rank[-1]] for rank in sorted(ranked)]


def _is_affordable(case: TakeoverCase, channel: ChannelSettings, settings: Settings) -> bool:
    """Whether buying there keeps `max_loss_minor`, as far as that can be told before buying.

    A supplier that is handed `{{ max_cost_minor }}` refuses by itself; goods of our own cost
    nothing now.
    """
    if channel.kind != "http":
        return True
    if case.amount_minor is None:
        return False
    allowed_minor = case.amount_minor + settings.fallback.max_loss_minor
    if allowed_minor <= 0:
        return False
    return (
        channel.max_cost_minor is None
        or channel.max_cost_minor <= allowed_minor
        or channel.is_cost_guarded
    )


def should_retry_same(case: TakeoverCase) -> bool:
    """Whether the last channel certainly did nothing and asked to be tried again."""
    if not case.attempts or case.attempts[-1].reason != "retry_same":
        return False
    name = case.attempts[-1].channel
    return sum(attempt.channel == name for attempt in case.attempts) < SAME_CHANNEL_MAX


def retry_same_at_ms(case: TakeoverCase, attempt: Attempt, now_ms: int) -> int:
    """When the same channel is tried again: within 30 s, then 60 s.

    Full jitter, so that a crowd comes back spread over the whole time. A channel that is throttling
    is left alone for at least half of it (equal jitter), and at least as long as it asked for.
    """
    count = sum(one.channel == attempt.channel for one in case.attempts)
    pause_ms = RETRY_SAME_MS << (count - 1)
    share = hash01(attempt.ref, "retry")
    if attempt.throttled_until_ms > now_ms or attempt.code == THROTTLED:
        return max(now_ms + round(pause_ms * (1 + share) / 2), attempt.throttled_until_ms)
    return now_ms + round(pause_ms * share)


def max_cost(amount_minor: int | None, channel: ChannelSettings, settings: Settings) -> int | None:
    """What the goods may cost at most: the channel's own limit and the order's value plus loss.

    Shapes: minor units of the order's currency; None when neither limit is known.
    """
    limits = [
        limit
        for limit in (
            channel.max_cost_minor,
            None if amount_minor is None else amount_minor + settings.fallback.max_loss_minor,
        )
        if limit is not None
    ]
    return min(limits) if limits else None


def _submit(case: TakeoverCase, channel: ChannelSettings, settings: Settings, now_ms: int) -> Step:
    """Record the attempt and order its submit; a person's queue takes the case with it."""
    number = len(case.attempts) + 1
    attempt = Attempt(
        ref=attempt_ref_of(case.takeover_id, channel.name, number),
        channel=channel.name,
        number=number,
        state=AttemptState.SUBMITTING,
        submitted_ms=now_ms,
        settle_until_ms=now_ms + settle_of(channel),
        max_cost_minor=max_cost(case.amount_minor, channel, settings),
    )
    case = msgspec.structs.replace(
        case,
        attempts=(*case.attempts, attempt),
        waits_for=None,
        waits_because=None,
        waits_since_ms=0,
    )
    effect = _submit_effect(case, attempt)
    if channel.kind == "manual":
        return Step(escalated(case, "manual_queue", now_ms), (effect,))
    # Only a lost answer makes the machine wake here: every submit is answered, a crash included.
    wake_ms = min(give_up_ms(attempt, channel), case.claim_expires_ms)
    case = moved(case, now_ms, state=CaseState.SUBMITTING, wake_ms=wake_ms, escalated_reason=None)
    return Step(case, (effect,))


def _submit_effect(case: TakeoverCase, attempt: Attempt) -> Submit:
    return Submit(
        key=submit_key(attempt.ref),
        takeover_id=case.takeover_id,
        attempt_ref=attempt.ref,
        channel=attempt.channel,
        order_id=case.order_id,
        fence=case.fence,
        sku=case.sku,
        quantity=case.quantity,
        amount_minor=case.amount_minor,
        currency=case.currency,
        region=case.region,
        max_cost_minor=attempt.max_cost_minor,
    )
