"""What becomes of a step when its level begins, and what stands in the way of one that waits.

    dry run? ─► would     no address, nothing left, had it lately? ─► skipped
    a person must agree, buyers sleep? ─► waiting     else it goes

Pure: an order, a step and what has been given so far go in, an action comes out.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from monitor.core.orders.order import Order
from monitor.core.playbooks.money import Ledger, budget_key, buyer_key
from monitor.core.playbooks.quiet import quiet_until_ms
from monitor.core.takeover.limits import counted_amount
from monitor.model.effects import refund_id
from monitor.model.ids import derived_id
from monitor.model.playbooks import (
    OUTAGE,
    Action,
    ActionState,
    CouponStep,
    Crowd,
    NotifyStep,
    OfferStep,
    PageStep,
    Playbook,
    RefundStep,
    ResolveStep,
    Step,
    TaskStep,
)
from monitor.model.settings import Settings

APPROVAL, QUIET, TAKEOVER = "approval", "quiet_hours", "takeover"  # what an action waits for
REFUSED = "refused_by_person"
MONEY_STEPS = (CouponStep, OfferStep, RefundStep)  # what a person may have to agree to
# Where the shop takes what a step asks of it.
_TAKES: dict[type, str] = {
    NotifyStep: "notify",
    CouponStep: "compensate",
    OfferStep: "notify",
    RefundStep: "refund",
}


class Surroundings(NamedTuple):
    """What a decision about one order rests on besides the order."""

    settings: Settings
    ledger: Ledger
    now_ms: int


def action_id_of(order_id: str, level: int, kind: str, index: int) -> str:
    """Name an action after order, level, kind and place; an order has one refund in all."""
    if kind == "refund":
        return refund_id(order_id)
    return derived_id("act", order_id, str(level), kind, str(index))


def begin(
    order: Order,
    level: Playbook,
    index: int,
    batch: Crowd | None,
    about: Surroundings,
) -> Action:
    """The action of one step as its level begins: on its way (`sent`), waiting, or not at all."""
    step = level.steps[index]
    if batch is not None and isinstance(step, NotifyStep):
        step = msgspec.structs.replace(step, template=OUTAGE)
    action = new_action(order, level, step, index, about.now_ms)
    if batch is not None:
        action = msgspec.structs.replace(action, batch_id=batch.batch_id)
    action, refusal = _priced(action, order, level, about)
    if refusal:
        return ended(action, ActionState.SKIPPED, refusal, about.now_ms)
    if level.is_dry_run:
        return ended(action, ActionState.WOULD, "dry_run", about.now_ms)
    if _TAKES.get(type(step), "") not in ("", *about.settings.shop_takes):
        missing = f"no_{_TAKES[type(step)]}_url"
        return ended(action, ActionState.SKIPPED, missing, about.now_ms)
    if batch is not None and isinstance(step, (TaskStep, PageStep)):
        return ended(action, ActionState.DONE, "batch", about.now_ms)  # told once for all of them
    if needs_approval(step, order, level, batch, about.settings):
        if batch is not None and batch.state == "refused":
            return ended(action, ActionState.SKIPPED, REFUSED, about.now_ms)
        return msgspec.structs.replace(
            action, state=ActionState.WAITING, reason=APPROVAL, sent_ms=None
        )
    return unless_quiet(action, level, about)


def standing(order: Order, action_id: str) -> Action | None:
    """The action of that name that has left or may still leave; None where one may begin."""
    known = next((one for one in order.actions if one.action_id == action_id), None)
    return None if known is None or (known.is_final and known.sent_ms is None) else known


def new_action(order: Order, level: Playbook, step: Step, index: int, now_ms: int) -> Action:
    """An action of a step that goes as soon as nothing stands in its way."""
    kind = str(type(step).__struct_config__.tag)
    return Action(
        action_id=action_id_of(order.order_id, level.level, kind, index),
        order_id=order.order_id,
        level=level.level,
        playbook=level.name,
        step=step,
        state=ActionState.SENT,
        at_ms=now_ms,
        changed_ms=now_ms,
        sent_ms=now_ms,
    )


def unless_quiet(action: Action, level: Playbook | None, about: Surroundings) -> Action:
    """The action on its way, or waiting for the morning if buyers would read it."""
    settings, now_ms = about.settings, about.now_ms
    if level is not None and isinstance(action.step, (NotifyStep, OfferStep)):
        until_ms = quiet_until_ms(level.quiet_hours, settings.utc_offsets, now_ms)
        if until_ms is not None:
            return msgspec.structs.replace(
                action, state=ActionState.WAITING, reason=QUIET, due_ms=until_ms,
                sent_ms=None, changed_ms=now_ms,
            )  # fmt: skip
    return gone(action, now_ms)


def resumed(action: Action, level: Playbook | None, about: Surroundings) -> Action:
    """The action after its wait; its level may have been disarmed since it began."""
    if level is not None and level.is_dry_run and not action.is_person:
        return ended(action, ActionState.WOULD, "dry_run", about.now_ms)
    return unless_quiet(action, level, about)


def gone(action: Action, now_ms: int) -> Action:
    """The action as it leaves: what a person or a buyer has to answer stays open."""
    state, due_ms = ActionState.SENT, None
    match action.step:
        case OfferStep(expires_ms=expires_ms):
            state, due_ms = ActionState.OPEN, now_ms + expires_ms
        case TaskStep(sla_ms=sla_ms):
            state = ActionState.OPEN
            due_ms = None if sla_ms is None else now_ms + sla_ms
        case PageStep() | ResolveStep():
            state = ActionState.DONE
        case _:
            pass
    return msgspec.structs.replace(
        action, state=state, due_ms=due_ms, sent_ms=now_ms, changed_ms=now_ms, reason=""
    )


def ended(action: Action, state: ActionState, reason: str, now_ms: int) -> Action:
    """The action in a state in which it asks for nothing more by itself; it keeps when it left."""
    left_ms = action.sent_ms if state in (ActionState.CANCELLED, ActionState.FAILED) else None
    if state == ActionState.DONE:
        left_ms = action.sent_ms
    return msgspec.structs.replace(
        action, state=state, reason=reason, changed_ms=now_ms, due_ms=None, sent_ms=left_ms
    )


def needs_approval(
    step: Step, order: Order, level: Playbook, batch: Crowd | None, settings: Settings
) -> bool:
    """Whether a person must agree first: about the order, or about the batch as a whole.

    Who agreed to a batch has not seen what joins it later: that is judged by itself.
    """
    limit = level.approval_above_minor
    if limit is None or not isinstance(step, MONEY_STEPS):
        return False
    if batch is not None and batch.state != "approved":
        return batch.state in ("waiting", "refused")
    amount = counted_amount(settings, order.facts.currency, order.facts.amount_minor)
    return amount is None or amount > limit


def _priced(
    action: Action, order: Order, level: Playbook, about: Surroundings
) -> tuple[Action, str]:
    """The action with what it costs, and why it must not cost that, if it must not."""
    step = action.step
    if isinstance(step, CouponStep):
        amount, refusal = _coupon_minor(step, order, about.settings)
        purpose = "coupon"
        if not refusal and _had_one(step, order, level, about):
            refusal = "once_per"
    elif isinstance(step, ResolveStep) and "fallback_cost" in level.budgets:
        amount = counted_amount(about.settings, order.facts.currency, order.facts.amount_minor)
        refusal, purpose = ("amount_unknown" if amount is None else ""), "fallback_cost"
    else:
        return action, ""
    if refusal or amount is None:
        return action, refusal
    action = msgspec.structs.replace(action, amount_minor=amount)
    key = budget_key(level.name, purpose, is_dry_run=level.is_dry_run)
    limit = level.budgets.get(purpose, 0)
    room = about.ledger.room(key, limit, about.now_ms)
    return action, "" if amount <= room else f"budget_{purpose}"


def _coupon_minor(step: CouponStep, order: Order, settings: Settings) -> tuple[int | None, str]:
    """What a coupon is worth, rounded down, and why there can be none."""
    if step.value_ppm is None:
        amount = step.value_minor
    else:
        counted = counted_amount(settings, order.facts.currency, order.facts.amount_minor)
        if counted is None:
            return None, "amount_unknown"
        amount = counted * step.value_ppm // 1_000_000
    if step.max_minor is not None and amount is not None:
        amount = min(amount, step.max_minor)
    return (amount, "") if amount else (None, "worth_nothing")


def _had_one(step: CouponStep, order: Order, level: Playbook, about: Surroundings) -> bool:
    """Whether the buyer had one lately; a buyer nobody named cannot have."""
    customer = order.facts.customer_hash
    if step.once_per_ms is None or customer is None:
        return False
    buyer = buyer_key(customer, is_dry_run=level.is_dry_run)
    return about.ledger.had_lately(buyer, step.once_per_ms, about.now_ms)
