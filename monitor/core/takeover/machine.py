"""One stuck order in our hands, as a state machine: facts in, a newer case and effects out.

    advised                                     no shop to ask: a person is told, nothing else
    claiming ──granted──► claimed ──► submitting ──► accepted ─┐
        │                    ▲            │    └───► unknown ──┤
        │                    └─disproved──┘◄──────────┘        ▼
        │                                               handing_over ──► delivered
        ├──already delivered, refund, late primary delivery ──► voided
        └──denied, ambiguous, nothing left to try ────────────► escalated (a person has it)

What must hold, whatever arrives in whatever order, doubled or late:
* A submit leaves only while every earlier attempt of the case is disproved, and once per attempt.
* Goods are handed over only from the attempt that was open when they arrived; all other goods are
  locked away and never handed out. One order never gets two keys.
* The resolution is set once. A voided or delivered case is never opened again; an escalated one
  only by a person.
* An unknown outcome is asked about, never tried elsewhere (rules R1 to R3 in `learning.py`).

`TABLE` is the machine: state × input kind → handler. A case and its attempts are two machines:
`learning.py` says what an answer proves about an attempt, the handlers what that means for the
case. `by_channel`, `by_shop` and `by_person` hold the handlers of their inputs. A handler that
leaves a case claimed and due (`steps.ready`) has a channel chosen for it in the same step, as far
as the gate lets it. A case that was voided stays in the table because goods may still arrive for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from monitor.core.takeover.by_channel import (
    attempt_too_late,
    attempt_while_open,
    wake_after_void,
    wake_for_answer,
    wake_for_retry,
)
from monitor.core.takeover.by_person import person_cancelled
from monitor.core.takeover.by_shop import (
    RESOLUTION_OF,
    Finished,
    claim_answered,
    claim_too_late,
    finished_before_submit,
    finished_unclaimed,
    finished_while_escalated,
    finished_while_handing_over,
    finished_while_open,
    hand_over_answered,
    hand_over_too_late,
    wake_for_claim,
    wake_for_hand_over,
)
from monitor.core.takeover.choosing import next_attempt
from monitor.core.takeover.pace import Gate, Open
from monitor.core.takeover.queue import person_said, wake_for_person
from monitor.core.takeover.steps import (
    CLAIM_WITHIN_MS,
    Step,
    claim_effect,
    claim_id_of,
    rewound,
    takeover_id_of,
)
from monitor.model.records import AttemptAnswered, CaseResolved, ClaimAnswered, HandOverAnswered
from monitor.model.settings import Settings
from monitor.model.takeovers import CaseState, TakeoverCase

OPEN = Open()


class Row(NamedTuple):
    """What one state does with each kind of input; None is *nothing*."""

    claim: Callable[[TakeoverCase, ClaimAnswered, Settings, int, str | None], Step] | None
    attempt: Callable[[TakeoverCase, AttemptAnswered, Settings, int], Step] | None
    hand_over: Callable[[TakeoverCase, HandOverAnswered, Settings, int], Step] | None
    finished: Callable[[TakeoverCase, Finished, int], Step] | None
    wake: Callable[[TakeoverCase, Settings, int], Step] | None
    person: Callable[[TakeoverCase, CaseResolved, Settings, int], Step] | None


# fmt: off
TABLE: dict[str, Row] = {
    # state                  claim           attempt             hand_over           finished                     wake                person
    CaseState.ADVISED:      Row(None,           None,               None,               finished_unclaimed,          None,               person_said),
    CaseState.CLAIMING:     Row(claim_answered, None,               None,               finished_before_submit,      wake_for_claim,     person_cancelled),
    CaseState.CLAIMED:      Row(None,           attempt_too_late,   None,               finished_before_submit,      wake_for_retry,     person_cancelled),
    CaseState.SUBMITTING:   Row(None,           attempt_while_open, None,               finished_while_open,         wake_for_answer,    None),
    CaseState.ACCEPTED:     Row(None,           attempt_while_open, None,               finished_while_open,         wake_for_answer,    person_said),
    CaseState.UNKNOWN:      Row(None,           attempt_while_open, None,               finished_while_open,         wake_for_answer,    person_said),
    CaseState.HANDING_OVER: Row(None,           attempt_too_late,   hand_over_answered, finished_while_handing_over, wake_for_hand_over, None),
    CaseState.DELIVERED:    Row(None,           attempt_too_late,   None,               None,                        None,               None),
    CaseState.ESCALATED:    Row(claim_too_late, attempt_too_late,   hand_over_too_late, finished_while_escalated,    wake_for_person,    person_said),
    CaseState.VOIDED:       Row(None,           attempt_too_late,   None,               None,                        wake_after_void,    None),
}
# fmt: on


def open_case(
    *,
    order_id: str,
    held_by_channel: str,
    sku: str | None,
    quantity: int,
    amount_minor: int | None,
    currency: str | None,
    region: str | None,
    fence: int,
    settings: Settings,
    now_ms: int,
) -> Step:
    """Open the case of a stuck order: ask the shop for it, or only advise when no shop is known.

    `sku quantity amount_minor` are what our events say; the shop's answer will replace them.
    """
    has_shop = settings.fallback.has_shop
    case = TakeoverCase(
        takeover_id=takeover_id_of(order_id, fence),
        order_id=order_id,
        state=CaseState.CLAIMING if has_shop else CaseState.ADVISED,
        claim_id=claim_id_of(order_id, fence),
        fence=fence,
        opened_ms=now_ms,
        changed_ms=now_ms,
        held_by_channel=held_by_channel,
        claim_expires_ms=now_ms + settings.fallback.claim_ttl_ms if has_shop else 0,
        wake_ms=now_ms + CLAIM_WITHIN_MS if has_shop else None,
        sku=sku,
        quantity=quantity,
        amount_minor=amount_minor,
        currency=currency,
        region=region,
    )
    return Step(case, (claim_effect(case),) if has_shop else ())


def on_claim(
    case: TakeoverCase,
    answer: ClaimAnswered,
    settings: Settings,
    now_ms: int,
    *,
    refused: str | None = None,
    gate: Gate = OPEN,
) -> Step:
    """The shop answered the claim; `refused` is the limit its amount breaks (`limits.may_spend`)."""
    handler = TABLE[case.state].claim
    if handler is None:
        return Step(case)
    return _chosen(handler(case, answer, settings, now_ms, refused), settings, now_ms, gate)


def on_attempt(
    case: TakeoverCase,
    answer: AttemptAnswered,
    settings: Settings,
    now_ms: int,
    *,
    gate: Gate = OPEN,
) -> Step:
    """A channel answered a submit or a query."""
    handler = TABLE[case.state].attempt
    if handler is None:
        return Step(case)
    return _chosen(handler(case, answer, settings, now_ms), settings, now_ms, gate)


def on_hand_over(
    case: TakeoverCase, answer: HandOverAnswered, settings: Settings, now_ms: int
) -> Step:
    """The shop answered a hand-over."""
    handler = TABLE[case.state].hand_over
    return handler(case, answer, settings, now_ms) if handler else Step(case)


def on_order_finished(
    case: TakeoverCase, kind: str, takeover_id_of_event: str | None, now_ms: int
) -> Step:
    """The shop reported the order delivered, refunded, failed or cancelled (`kind`).

    A delivery that carries our takeover id while we hand over is our own; its answer will come.
    """
    assert kind in RESOLUTION_OF, f"an order cannot be finished as {kind}"
    handler = TABLE[case.state].finished
    return handler(case, Finished(kind, takeover_id_of_event), now_ms) if handler else Step(case)


def on_wake(case: TakeoverCase, settings: Settings, now_ms: int, *, gate: Gate = OPEN) -> Step:
    """Time passed; nothing happens before the case's `wake_ms`, unless the clock was set back."""
    handler = TABLE[case.state].wake
    if handler is None or not case.is_due(now_ms):
        return Step(case)
    if case.wake_ms is not None and now_ms < case.wake_ms:
        case = rewound(case, now_ms)
        if not case.is_due(now_ms):
            return Step(case)
    return _chosen(handler(case, settings, now_ms), settings, now_ms, gate)


def on_turn(case: TakeoverCase, settings: Settings, now_ms: int, *, gate: Gate = OPEN) -> Step:
    """What a claimed case waited for may have happened: a slot is free, a channel is open again."""
    if case.state != CaseState.CLAIMED or case.waits_for is None:
        return Step(case)
    return next_attempt(case, settings, now_ms, gate)


def on_person(
    case: TakeoverCase, order: CaseResolved, settings: Settings, now_ms: int, *, gate: Gate = OPEN
) -> Step:
    """A person closed the case, or said that an open attempt delivered nothing.

    Nothing happens where `may_person_decide` is false: bytes are under way and an answer is due.
    """
    handler = TABLE[case.state].person
    if handler is None:
        return Step(case)
    return _chosen(handler(case, order, settings, now_ms), settings, now_ms, gate)


def _chosen(step: Step, settings: Settings, now_ms: int, gate: Gate) -> Step:
    """The step with a channel chosen for a case that it left claimed and due."""
    case = step.case
    if case.state != CaseState.CLAIMED or case.wake_ms is None or case.wake_ms > now_ms:
        return step
    after = next_attempt(case, settings, now_ms, gate)
    return Step(after.case, (*step.effects, *after.effects), (*step.cancels, *after.cancels))


def may_person_decide(case: TakeoverCase) -> bool:
    """Whether a person's resolution can be taken in this state."""
    return TABLE[case.state].person is not None
