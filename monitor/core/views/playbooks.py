"""What playbooks did for an order, or would do, and what of it waits for a person."""

from __future__ import annotations

import msgspec

from monitor.core.engine_state import EngineState
from monitor.core.orders.order import Order
from monitor.core.playbooks.deciding import APPROVAL
from monitor.model.playbooks import UNDO, Action, ActionState, Crowd, OfferStep, TaskStep
from monitor.model.times import format_rfc3339

IRREVERSIBLE = "irreversible"


class ActionView(msgspec.Struct, frozen=True):
    """One action; `words` are those a person may say to it now, `undo` how it is taken back."""

    id: str
    order_id: str
    playbook: str
    level: int
    kind: str
    state: str
    reason: str | None
    amount_minor: int | None
    at: str
    changed_at: str
    due_at: str | None
    batch: str | None
    choice: str | None
    undo: str
    words: tuple[str, ...]


class BatchView(msgspec.Struct, frozen=True):
    """Many orders that reached a level together, and what they may be given."""

    id: str
    playbook: str
    level: int
    state: str
    orders: int
    amount_minor: int
    given_minor: int
    currency: str
    opened_at: str
    words: tuple[str, ...]


def words_for(action: Action) -> tuple[str, ...]:
    """What a person may say to an action as it is now."""
    if action.state == ActionState.WAITING and action.reason == APPROVAL:
        return ("approve", "refuse")
    if action.state == ActionState.OPEN and isinstance(action.step, OfferStep):
        return action.step.choices
    if action.state == ActionState.OPEN and isinstance(action.step, TaskStep):
        return ("close",)
    return ()


def words_for_batch(batch: Crowd) -> tuple[str, ...]:
    """What a person may say to a batch as it is now."""
    return ("approve", "refuse") if batch.state == "waiting" else ()


def action_view(action: Action) -> ActionView:
    """One action."""
    return ActionView(
        id=action.action_id,
        order_id=action.order_id,
        playbook=action.playbook,
        level=action.level,
        kind=action.kind,
        state=action.state,
        reason=action.reason or None,
        amount_minor=action.amount_minor,
        at=format_rfc3339(action.at_ms),
        changed_at=format_rfc3339(action.changed_ms),
        due_at=None if action.due_ms is None else format_rfc3339(action.due_ms),
        batch=action.batch_id,
        choice=action.choice,
        undo=UNDO.get(action.kind, IRREVERSIBLE),
        words=words_for(action),
    )


def actions_of(order: Order) -> list[ActionView]:
    """Everything playbooks did for an order, in the order in which it was decided."""
    return [action_view(action) for action in order.actions]


def unfinished(state: EngineState) -> list[Action]:
    """Actions that are not final, the oldest first."""
    found = [
        action
        for order_id in state.response.unfinished
        for action in state.shard.orders[order_id].actions
        if not action.is_final
    ]
    return sorted(found, key=lambda one: (one.at_ms, one.action_id))


def batches(state: EngineState) -> list[BatchView]:
    """The latest batch of every level."""
    return [
        BatchView(
            id=one.batch_id,
            playbook=one.playbook,
            level=one.level,
            state=one.state,
            orders=one.orders,
            amount_minor=one.amount_minor,
            given_minor=one.given_minor,
            currency=state.settings.currency,
            opened_at=format_rfc3339(one.opened_ms),
            words=words_for_batch(one),
        )
        for one in state.response.crowds.batches.values()
    ]
