"""What an answer of a channel proves about one attempt, and when to ask again.

    submitting ──► accepted ──► obtained          rejected (to the one submit) ─► disproved
        │             ▲   │        ▲              rejected (to a query)        ─► disproved
        └──► unknown ─┴───┴────────┘              not_found × 2 after settle   ─► disproved
                                                  disproved, then delivered    ─► quarantined

Three rules found with a crash harness (reference/resilience.md §4.2), each of which cost second
keys when it was missing:
* R1: a rejection of a *replay* proves nothing about the first try. A submit's rejection counts
  only as the first answer to the one submit; a channel that is asked by sending the submit again
  says `is_query=False` under the key of a query, and its rejection is not believed.
* R2: `not_found` counts only after the settle time, counted from the answer that left the outcome
  open (the bytes left before it), and twice, from two different queries.
* R3: a channel that can neither be asked nor replayed is never resolved by the machine.
A `duplicate` proves the opposite: the channel has taken a request with this ref. Where it does not
tell the goods again (`detectable`), a person must get them.
An `accepted` attempt is not disproved by `not_found`: the channel contradicts itself, so a person
decides.
"""

from __future__ import annotations

import msgspec

from monitor.core.takeover.steps import OPEN_ATTEMPT, query_key, submit_key
from monitor.model.effects import Query
from monitor.model.records import AttemptAnswered
from monitor.model.settings import ChannelSettings, Settings
from monitor.model.takeovers import Attempt, AttemptState, TakeoverCase
from monitor.model.times import HOUR_MS, MINUTE_MS, SECOND_MS

SETTLE_MIN_MS = SECOND_MS
STOCK_SETTLE_MS = 5 * SECOND_MS  # our own database: nothing is on the wire
NOT_FOUND_NEEDED = 2
QUERY_GAP_MAX_MS = 5 * MINUTE_MS  # of the backoff after 1×, 2×, 4× settle
QUERY_GAP_MIN_MS = 15 * SECOND_MS  # between an overdue answer and the next question, or settle
RESOLVE_WITHIN_MS = 15 * MINUTE_MS  # from when the outcome was left open; then a person asks
RETRY_AFTER_MAX_MS = HOUR_MS
ASKABLE_KINDS = ("stock", "shop_retry", "sim")  # they answer for themselves
TOO_EARLY = "too_early"  # the code of a `not_found` soon after a restart, which is no answer
DUPLICATE = "duplicate"  # the reason of an attempt whose ref the channel has had before


def channel_of(settings: Settings, name: str) -> ChannelSettings:
    """The channel's settings; one that is no longer configured counts as opaque."""
    known = (channel for channel in settings.channels if channel.name == name)
    return next(known, ChannelSettings(name=name))


def is_askable(channel: ChannelSettings, attempt: Attempt) -> bool:
    """Whether the channel can tell what became of an attempt.

    One that is only `is_followed` can once it has told its own number of the order.
    """
    if channel.kind == "http" and channel.is_followed and attempt.supplier_ref is not None:
        return True
    return channel.kind in ASKABLE_KINDS or (
        channel.kind == "http" and channel.capability in ("idempotent", "queryable")
    )


def is_opaque(channel: ChannelSettings) -> bool:
    """Whether what became of an attempt may never be known (R3)."""
    return channel.kind == "http" and channel.capability == "opaque"


def settle_of(channel: ChannelSettings) -> int:
    """Milliseconds a request may still take effect after its last byte."""
    if channel.kind == "stock":
        return STOCK_SETTLE_MS
    return max(channel.settle_ms, SETTLE_MIN_MS)


def ask_due_ms(attempt: Attempt, channel: ChannelSettings) -> int:
    """When to ask next: 1×, 2×, 4× settle after the outcome was left open, then with backoff.

    Questions that could prove nothing do not count: after many restarts the next would come too late.
    """
    settle = settle_of(channel)
    due = attempt.settle_until_ms
    for asked in range(attempt.queries - attempt.early):
        gap = settle << asked
        due += gap if asked < 2 else min(gap, max(QUERY_GAP_MAX_MS, 2 * settle))
    return due


def next_ask_ms(attempt: Attempt, channel: ChannelSettings, now_ms: int) -> int:
    """When to wake for the attempt: the next question, or the end of our patience if earlier."""
    due = max(ask_due_ms(attempt, channel), attempt.throttled_until_ms)
    settle = settle_of(channel)
    if attempt.queries:  # an answer that came late must not make two questions one
        due = max(due, now_ms + (settle if attempt.early else min(settle, QUERY_GAP_MIN_MS)))
    give_up = give_up_ms(attempt, channel)
    return min(due, give_up) if is_askable(channel, attempt) else give_up


def give_up_ms(attempt: Attempt, channel: ChannelSettings) -> int:
    """When an unresolved attempt goes to a person; a long settle still leaves two questions.

    What was accepted is not in doubt: its time counts from the settle time.
    """
    settle = settle_of(channel)
    if attempt.state == AttemptState.ACCEPTED:
        return attempt.settle_until_ms + max(RESOLVE_WITHIN_MS, settle + MINUTE_MS)
    left_open_ms = attempt.settle_until_ms - settle
    return left_open_ms + max(RESOLVE_WITHIN_MS, 2 * settle + MINUTE_MS)


def ask(case: TakeoverCase, attempt: Attempt) -> Query:
    """The next question about an attempt; `queries` counts the answered ones."""
    return Query(
        key=query_key(attempt.ref, attempt.queries + 1),
        takeover_id=case.takeover_id,
        attempt_ref=attempt.ref,
        channel=attempt.channel,
        order_id=case.order_id,
        sku=case.sku,
        quantity=case.quantity,
        supplier_ref=attempt.supplier_ref,
        amount_minor=case.amount_minor,
        currency=case.currency,
        region=case.region,
        max_cost_minor=attempt.max_cost_minor,
    )


def learn(attempt: Attempt, answer: AttemptAnswered, channel: ChannelSettings) -> Attempt:
    """The attempt with what the answer proves; the same object if it proves nothing new."""
    if answer.outcome == "delivered":
        return _delivered(attempt, answer)
    if attempt.state not in OPEN_ATTEMPT:
        return attempt
    is_first = (
        attempt.state == AttemptState.SUBMITTING
        and answer.effect_key == submit_key(attempt.ref)
        and not answer.is_query
    )
    is_fresh = answer.effect_key == query_key(attempt.ref, attempt.queries + 1)
    if not (is_first or is_fresh):
        return attempt  # said before, or out of order: what it proved is already known
    if is_fresh:
        attempt = msgspec.structs.replace(attempt, queries=attempt.queries + 1)
    if answer.retry_after_ms is not None:
        pause_ms = min(answer.retry_after_ms, RETRY_AFTER_MAX_MS)
        attempt = msgspec.structs.replace(attempt, throttled_until_ms=answer.at_ms + pause_ms)
    match answer.outcome:
        case "accepted":
            return _accepted(attempt, answer, channel)
        case "duplicate" if not is_opaque(channel):
            taken = _accepted(attempt, answer, channel)
            return msgspec.structs.replace(taken, code=answer.code, reason=DUPLICATE)
        case "rejected" if is_first or (is_fresh and _is_proof(answer, channel, attempt)):
            return _rejected(attempt, answer)
        case "not_found" if is_fresh and answer.is_query and is_askable(channel, attempt):
            return _not_found(attempt, answer)
        case _ if is_fresh and answer.code == TOO_EARLY:
            return msgspec.structs.replace(attempt, early=attempt.early + 1)
        case _:
            return _unknown(attempt, answer, channel) if is_first else attempt


def _is_proof(answer: AttemptAnswered, channel: ChannelSettings, attempt: Attempt) -> bool:
    """Whether a rejection under a query's key is a statement about the first try (R1, R3)."""
    return answer.is_query and answer.code is not None and is_askable(channel, attempt)


def _delivered(attempt: Attempt, answer: AttemptAnswered) -> Attempt:
    """The goods are in the vault: ours to hand over only if the attempt was still open."""
    if attempt.goods_digest is not None or attempt.state == AttemptState.OBTAINED:
        return attempt
    is_open = attempt.state in OPEN_ATTEMPT
    return msgspec.structs.replace(
        attempt,
        state=AttemptState.OBTAINED if is_open else AttemptState.QUARANTINED,
        supplier_ref=answer.supplier_ref or attempt.supplier_ref,
        code=answer.code,
        goods_count=answer.goods_count,
        goods_digest=answer.goods_digest,
        cost_minor=answer.cost_minor,
    )


def _accepted(attempt: Attempt, answer: AttemptAnswered, channel: ChannelSettings) -> Attempt:
    settle_until_ms = attempt.settle_until_ms
    if attempt.state == AttemptState.SUBMITTING:
        settle_until_ms = answer.at_ms + settle_of(channel)
    return msgspec.structs.replace(
        attempt,
        state=AttemptState.ACCEPTED,
        settle_until_ms=settle_until_ms,
        supplier_ref=answer.supplier_ref or attempt.supplier_ref,
    )


def _rejected(attempt: Attempt, answer: AttemptAnswered) -> Attempt:
    return msgspec.structs.replace(
        attempt,
        state=AttemptState.DISPROVED,
        code=answer.code,
        reason=f"retry_{answer.retry}",
        supplier_ref=answer.supplier_ref or attempt.supplier_ref,
    )


def _not_found(attempt: Attempt, answer: AttemptAnswered) -> Attempt:
    if answer.at_ms < attempt.settle_until_ms:
        return attempt
    not_found = attempt.not_found + 1
    is_over = not_found >= NOT_FOUND_NEEDED and attempt.state == AttemptState.UNKNOWN
    return msgspec.structs.replace(
        attempt,
        not_found=not_found,
        state=AttemptState.DISPROVED if is_over else attempt.state,
        reason="not_found" if is_over else attempt.reason,
    )


def _unknown(attempt: Attempt, answer: AttemptAnswered, channel: ChannelSettings) -> Attempt:
    return msgspec.structs.replace(
        attempt,
        state=AttemptState.UNKNOWN,
        settle_until_ms=answer.at_ms + settle_of(channel),
        code=answer.code,
        reason=answer.detail or None,
    )
