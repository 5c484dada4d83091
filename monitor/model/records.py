"""The lines of the log: facts, answers of the outside, orders of people, and our own decisions.

A decision carries the value it results in, so folding it again is an assignment: recovery never
decides behind the cursor (design D4d). Ticks are not logged.
"""

from __future__ import annotations

import msgspec

from monitor.model.alerts import Alert
from monitor.model.baselines import Baseline
from monitor.model.batches import BatchCancelled, BatchMoved, BatchOrdered
from monitor.model.evaluations import Step
from monitor.model.events import OrderEvent
from monitor.model.faults import ShopFault
from monitor.model.notes import Note
from monitor.model.playbooks import Action, Crowd
from monitor.model.takeovers import TakeoverCase

# --- answers: what became of an effect; `effect_key` closes its outbox row ----------------------


class Notified(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="notified"):
    """A message or webhook reached its receiver (`ok`) or was given up (`failed`)."""

    effect_key: str
    receiver: str
    outcome: str
    at_ms: int
    detail: str = ""


class SwitchAnswered(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="ack"):
    """The shop's answer to `channel.switch`: applied, stale, refused; or expired unanswered."""

    effect_key: str
    epoch: int
    status: str
    applied_epoch: int | None
    at_ms: int
    detail: str = ""


class ClaimAnswered(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="claimed"):
    """The shop's answer to a claim; `status`: granted, already_delivered, denied."""

    effect_key: str
    takeover_id: str
    status: str
    at_ms: int
    paid: bool = False
    sku: str | None = None
    quantity: int = 1
    amount_minor: int | None = None
    detail: str = ""


class AttemptAnswered(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="attempted"
):
    """What a channel said to a submit or a query.

    `outcome`: delivered (the goods are already in the vault), accepted, rejected, not_found,
    duplicate (the channel has had this very ref before, and says no more), unknown. `retry` (same, other, never) and `blame` (channel, order, us) come from its error
    table. `is_query` tells a query's answer from a submit's. `retry_after_ms`: the channel wants
    to be left alone for so long.
    """

    effect_key: str
    takeover_id: str
    attempt_ref: str
    outcome: str
    at_ms: int
    is_query: bool = False
    code: str | None = None
    retry: str = "other"
    blame: str = "channel"
    supplier_ref: str | None = None
    goods_count: int = 0
    goods_digest: str | None = None
    cost_minor: int | None = None
    detail: str = ""
    retry_after_ms: int | None = None


class HandOverAnswered(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="handed_over"
):
    """The shop took the goods (`delivered`), has delivered itself (`already_delivered`) or refused."""

    effect_key: str
    takeover_id: str
    outcome: str
    at_ms: int
    detail: str = ""


class EffectClosed(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="closed"):
    """A release or quarantine is through (`ok`) or was given up (`failed`)."""

    effect_key: str
    outcome: str
    at_ms: int
    detail: str = ""


class ActionAnswered(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="acted"):
    """What the shop said to a message for a buyer, a compensation or a refund.

    `outcome`: done, already_delivered, already_refunded, refused (certainly not done), unknown
    (given up; it may have been done).
    """

    effect_key: str
    action_id: str
    order_id: str
    outcome: str
    at_ms: int
    detail: str = ""


# --- what was looked at outside, though no effect asked for it -----------------------------------


class StockCounted(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="stock"):
    """The local pool was counted: free keys by sku, of all skus it ever held."""

    counts: dict[str, int]
    at_ms: int


class Gauged(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="gauge"):
    """Something was measured outside; told only when it is not what is known already.

    `kind` and `name`: wallet of a channel (minor units), webhook of a source (1 on, 0 off), stock
    of a shop's sku (keys not sold yet).
    """

    kind: str
    name: str
    value: int
    at_ms: int


class SelfAudited(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="self_audit"):
    """The files were looked through for what must never be; `findings` name rules and ids."""

    findings: tuple[str, ...]
    at_ms: int


class ClockSetBack(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="clock"):
    """Until `at_ms` our clock was ahead, by about `by_ms`: what it told of our own is too late."""

    at_ms: int
    by_ms: int


# --- orders of people -----------------------------------------------------------------------------


class SwitchOrdered(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="op_switch"
):
    """A person sets the weights of a scope."""

    scope: str
    weights: dict[str, int]
    reason: str
    actor: str
    at_ms: int


class ChannelSteered(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="op_channel"
):
    """A person drains, locks (no automatic change) or unlocks a channel."""

    channel: str
    action: str
    actor: str
    at_ms: int
    reason: str = ""


class ReviewOrdered(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="op_review"
):
    """A person has the new orders of a scope checked by people, until a time, or ends that."""

    scope: str
    is_on: bool
    actor: str
    at_ms: int
    until_ms: int | None = None
    reason: str = ""


class CaseResolved(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="op_case"):
    """A person's word on a takeover: delivered, refunded, alternative, not_delivered.

    `claimed` takes an escalated one until `until_ms`, `let_go` gives it back to the queue.
    """

    takeover_id: str
    resolution: str
    actor: str
    at_ms: int
    note: str = ""
    until_ms: int | None = None


class ActionOrdered(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="op_action"
):
    """A person's word about an action of a playbook, or about a batch of them.

    `decision`: approve, refuse; of an offer alternative, refund, wait; of a task close.
    """

    action_id: str
    decision: str
    actor: str
    at_ms: int
    order_id: str = ""
    note: str = ""


# --- decisions ------------------------------------------------------------------------------------


class Breached(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="breach"):
    """At `at_ms` = paid + promise the order was neither delivered nor closed. Never revised."""

    order_id: str
    at_ms: int
    channel: str
    decided_ms: int


class TierReached(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="tier"):
    """An order entered tier 1, 2 or 3; once per order and tier."""

    order_id: str
    tier: int
    decided_ms: int


class SourceMoved(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="source"):
    """A source fell silent or came back."""

    source: str
    is_silent: bool
    at_ms: int
    last_event_ms: int
    limit_ms: int


class AlertMoved(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="alert"):
    """An alert changed state; carries the alert as it is now and where it came from.

    `evaluation` is the condition that moved it, part by part: `resolve_when` for an alert that it
    ended, else `expr`. None where no evaluation did, as for a deleted rule.
    """

    alert: Alert
    previous: str
    at_ms: int
    evaluation: Step | None = None


class SwitchDecided(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="switch"):
    """A routing decision. Only `enforce` and `manual` allocate a new epoch and change the route."""

    decision_id: str
    scope: str
    epoch: int
    prev_epoch: int
    weights: dict[str, int]
    previous: dict[str, int]
    reason: str
    mode: str
    evidence: msgspec.Raw
    at_ms: int
    valid_until_ms: int
    inflight: int = 0


class CaseMoved(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="case"):
    """A takeover case reached a new state; carries the case as it is now."""

    case: TakeoverCase
    at_ms: int


class ActionsMoved(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="actions"):
    """Actions of an order as they are now; with `level`, the order has entered that level."""

    order_id: str
    actions: tuple[Action, ...]
    at_ms: int
    level: int = 0


class CrowdMoved(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="crowd"):
    """Many orders that reached a level together; carries the batch as it is now."""

    batch: Crowd
    at_ms: int


class BaselineLearned(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="baseline"
):
    """What is normal on a channel was learned anew; carries the whole of it."""

    baseline: Baseline
    at_ms: int


Answer = (
    Notified
    | SwitchAnswered
    | ClaimAnswered
    | AttemptAnswered
    | HandOverAnswered
    | EffectClosed
    | ActionAnswered
)
Instruction = (
    SwitchOrdered
    | ChannelSteered
    | ReviewOrdered
    | CaseResolved
    | ActionOrdered
    | BatchOrdered
    | BatchCancelled
)
Entry = OrderEvent | Answer | Instruction | StockCounted | Gauged | SelfAudited | ClockSetBack
"""What comes in, is acknowledged once it is logged, and is then folded."""
Decision = (
    Breached
    | TierReached
    | SourceMoved
    | AlertMoved
    | SwitchDecided
    | CaseMoved
    | ActionsMoved
    | CrowdMoved
    | BaselineLearned
    | ShopFault
    | BatchMoved
)
Record = Entry | Note | Decision
"""Every kind of line that a log holds."""

record_encoder = msgspec.json.Encoder()
record_decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)
