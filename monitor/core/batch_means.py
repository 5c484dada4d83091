"""What a batch has the engine do for one order: deliver it, tell its buyer, or pay it back."""

from __future__ import annotations

from collections.abc import Callable

from monitor.core.batches import Means
from monitor.core.engine_state import EngineState
from monitor.core.orders.order import Order
from monitor.core.playbooks.deciding import standing
from monitor.core.playbooks.response import Response
from monitor.core.takeover.desk import Moved
from monitor.model.batches import BatchAction, BatchMoved, BatchOrdered
from monitor.model.effects import refund_id
from monitor.model.ids import derived_id
from monitor.model.playbooks import Action, ActionState, NotifyStep, RefundStep

TEMPLATE = "delayed_long"  # what buyers are told


def means_of(
    engine: EngineState,
    response: Response,
    decide: Callable[[BatchMoved], None],
    take: Callable[[Moved | None, int], None],
) -> Means:
    """The engine as batches see it."""

    def take_over(order: Order, only_kind: str | None, now_ms: int) -> str:
        if order.is_paying_back:
            return "refund_under_way"
        found = engine.desk.open_ordered(order, engine.channel_of(order), only_kind, now_ms)
        if isinstance(found, str):
            return found
        take(found, now_ms)
        return ""

    def act(order: Order, ordered: BatchOrdered, now_ms: int) -> str:
        action = _action(order, ordered, now_ms)
        refusal = _standing_in_the_way(order, action)
        if not refusal:
            response.person_asks(order, action, now_ms)
        return refusal

    return Means(engine.shard.orders.get, take_over, act, decide)


def _action(order: Order, ordered: BatchOrdered, now_ms: int) -> Action:
    """What a person wants done for the order, on its way; an order has one refund in all."""
    is_refund = ordered.action == BatchAction.REFUND
    named = derived_id("act", order.order_id, ordered.batch_id)
    return Action(
        action_id=refund_id(order.order_id) if is_refund else named,
        order_id=order.order_id,
        level=0,
        playbook="batch",
        step=RefundStep() if is_refund else NotifyStep(TEMPLATE),
        state=ActionState.SENT,
        at_ms=now_ms,
        changed_ms=now_ms,
        sent_ms=now_ms,
        batch_id=ordered.batch_id,
        is_person=True,
    )


def _standing_in_the_way(order: Order, action: Action) -> str:
    """Why an action may not begin: the order has the same one already."""
    known = standing(order, action.action_id)
    if known is None:
        return ""
    return f"refund_{known.state}" if known.is_final else "refund_under_way"
