"""Which channel delivers a claimed order next, and what it may cost.

The owner's `fallback.order` decides; a channel is skipped if it held the order when it got stuck,
if the shop itself delivers through it (`external`), if it has been tried, or if what it may charge
is more than the order's amount and `max_loss_minor` allow. Nobody is asked while an earlier attempt
may still deliver.
"""

from __future__ import annotations

import msgspec

from monitor.core.takeover.learning import channel_of, give_up_ms, settle_of
from monitor.core.takeover.steps import (
    OPEN_ATTEMPT,
    Step,
    attempt_ref_of,
    escalated,
    moved,
    release_effect,
    submit_key,
)
from monitor.model.effects import Submit
from monitor.model.settings import ChannelSettings, Settings
from monitor.model.takeovers import Attempt, AttemptState, CaseState, TakeoverCase
from monitor.model.times import SECOND_MS

DELIVERING_KINDS = ("http", "stock", "manual")
SAME_CHANNEL_MAX = 3  # attempts on one channel that keeps answering `retry: same`
RETRY_SAME_MS = 30 * SECOND_MS  # doubled each time


def next_attempt(case: TakeoverCase, settings: Settings, now_ms: int) -> Step:
    """Submit to the next channel, or give the order to a person and, if free, to the shop."""
    assert not any(attempt.state in OPEN_ATTEMPT for attempt in case.attempts), (
        "no second channel while an earlier attempt may still deliver"
    )
    if any(attempt.state != AttemptState.DISPROVED for attempt in case.attempts):
        return Step(escalated(case, "goods_in_quarantine", now_ms))
    if now_ms >= case.claim_expires_ms:
        return Step(escalated(case, "claim_expired", now_ms))
    channel = next_channel(case, settings)
    if channel is None:
        reason = "would_lose_money" if _untried(case, settings) else "no_channel_left"
        return Step(escalated(case, reason, now_ms), (release_effect(case, reason),))
    return _submit(case, channel, settings, now_ms)


def next_channel(case: TakeoverCase, settings: Settings) -> ChannelSettings | None:
    """The channel to try now, or None when there is nothing left."""
    affordable = (one for one in _untried(case, settings) if _is_affordable(case, one, settings))
    return next(affordable, None)


def _untried(case: TakeoverCase, settings: Settings) -> list[ChannelSettings]:
    """Channels whose turn may come, first the one that asked to be tried again."""
    names = [case.attempts[-1].channel] if should_retry_same(case) else []
    tried = [attempt.channel for attempt in case.attempts]
    names += [
        name
        for name in settings.fallback.order
        if name not in tried and name != case.held_by_channel
    ]
    channels = [channel_of(settings, name) for name in names]
    return [channel for channel in channels if channel.kind in DELIVERING_KINDS]


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


def retry_same_at_ms(case: TakeoverCase, now_ms: int) -> int:
    """When the same channel is tried again: after 30 s, then 60 s."""
    name = case.attempts[-1].channel
    count = sum(attempt.channel == name for attempt in case.attempts)
    return now_ms + (RETRY_SAME_MS << (count - 1))


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
    case = msgspec.structs.replace(case, attempts=(*case.attempts, attempt))
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
