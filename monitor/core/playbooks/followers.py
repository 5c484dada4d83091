"""Actions that follow from actions: what a buyer chose, and the person who gets what failed."""

from __future__ import annotations

import msgspec

from monitor.core.orders.order import Order
from monitor.core.playbooks.deciding import action_id_of, gone, standing
from monitor.model.ids import derived_id
from monitor.model.playbooks import Action, PageStep, RefundStep, Step, TaskStep

ALTERNATIVE_QUEUE = "alternative"


def follow_up(
    order: Order, offer: Action, choice: str, now_ms: int, *, is_person: bool
) -> list[Action]:
    """What a choice leads to: a refund, a person who finds an alternative, or nothing but waiting.

    An order has one refund: one that is under way already is not asked for anew, or its answer
    would be taken for that of another.
    """
    match choice:
        case "refund":
            action = _after(order, offer, RefundStep(), "refund", now_ms)
            if standing(order, action.action_id) is not None:
                return []
            return [msgspec.structs.replace(action, is_person=is_person)]
        case "alternative":
            return [_after(order, offer, TaskStep(ALTERNATIVE_QUEUE), "alternative", now_ms)]
        case _:
            return []


def escalation(order: Order, about: Action, reason: str, now_ms: int) -> Action:
    """A person is called because of an action; once per action and reason."""
    call = _after(order, about, PageStep(), f"escalate {about.action_id} {reason}", now_ms)
    return msgspec.structs.replace(call, reason=f"{about.kind} {reason}")


def _after(order: Order, before: Action, step: Step, name: str, now_ms: int) -> Action:
    if isinstance(step, RefundStep):
        action_id = action_id_of(order.order_id, before.level, "refund", 0)
    else:
        action_id = derived_id("act", order.order_id, str(before.level), name)
    action = Action(
        action_id=action_id,
        order_id=order.order_id,
        level=before.level,
        playbook=before.playbook,
        step=step,
        state="sent",
        at_ms=now_ms,
        changed_ms=now_ms,
        sent_ms=now_ms,
    )
    return action if isinstance(step, RefundStep) else gone(action, now_ms)
