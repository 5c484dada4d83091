"""What can be said about batches: whom one would touch, and what became of each of its orders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from monitor.core.batches import objection
from monitor.core.engine import Engine
from monitor.core.orders.order import Order
from monitor.core.views.orders import orders_in
from monitor.model.batches import ORDERS_MAX, Batch, BatchAction
from monitor.model.ids import digest
from monitor.model.playbooks import ActionState
from monitor.model.takeovers import CaseState, TakeoverCase
from monitor.model.times import SECOND_MS, format_rfc3339

_ENDED = (CaseState.DELIVERED, CaseState.ESCALATED, CaseState.VOIDED)
_OF_ACTION = {
    ActionState.DONE: "done",
    ActionState.FAILED: "failed",
    ActionState.SKIPPED: "skipped",
    ActionState.CANCELLED: "skipped",
}


class Chosen(msgspec.Struct, frozen=True):
    """One order that a batch would touch."""

    order_id: str
    age_s: float
    amount_minor: int | None
    currency: str | None


class Left(msgspec.Struct, frozen=True):
    """One order that the filter finds and the batch leaves alone."""

    order_id: str
    reason: str


class Preview(msgspec.Struct, frozen=True):
    """Whom a batch would touch and what the orders are worth, by currency (`?` where none is named).

    `selection` names exactly these orders: a batch that is applied with it touches no others.
    `more` says that the filter finds more than one batch may hold; the most urgent are in.
    """

    action: str
    count: int
    amount_minor: dict[str, int]
    amounts_unknown: int
    orders: list[Chosen]
    left_out: list[Left]
    more: bool
    selection: str


class Item(msgspec.Struct, frozen=True):
    """What became of one order: waiting, under_way, done, failed, skipped, cancelled."""

    order_id: str
    state: str
    detail: str = ""


class BatchView(msgspec.Struct, frozen=True):
    """`GET /v1/batches/{id}`; `counts` are over all orders, `items` may be a part of them.

    `state`: waiting (can be taken back until `starts_at`), running, done, cancelled.
    """

    id: str
    action: str
    state: str
    actor: str
    reason: str
    ordered_at: str
    starts_at: str
    orders: int
    counts: dict[str, int]
    items: list[Item]


def preview(
    engine: Engine,
    now_ms: int,
    *,
    action: str,
    state: str,
    channel: str | None,
    sku: str | None,
    older_ms: int,
) -> Preview:
    """Choose the orders of a filter, the most urgent first."""
    found = [
        order
        for order in orders_in(engine, now_ms, wanted=state, channel=channel, sku=sku)
        if order.age_ms(now_ms) >= older_ms
    ]
    reasons = {order.order_id: _reason(order, action) for order in found}
    left_out = [Left(name, reason) for name, reason in reasons.items() if reason]
    fitting = [order for order in found if not reasons[order.order_id]]
    chosen = fitting[:ORDERS_MAX]
    return Preview(
        action=action,
        count=len(chosen),
        amount_minor=_worth(chosen),
        amounts_unknown=sum(one.facts.amount_minor is None for one in chosen),
        orders=[_chosen(order, now_ms) for order in chosen],
        left_out=left_out[:ORDERS_MAX],
        more=len(fitting) > len(chosen),
        selection=selection_of(action, [order.order_id for order in chosen]),
    )


def selection_of(action: str, order_ids: Iterable[str]) -> str:
    """Name an action on exactly these orders."""
    return digest(action, *sorted(order_ids), size=8).hex()


def batch_view(batch: Batch, orders: Sequence[Order], limit: int, offset: int) -> BatchView:
    """Tell what became of each order; `orders` are those of the batch as far as they are known."""
    ordered, known = batch.ordered, {order.order_id: order for order in orders}
    items = [_item(batch, name, known.get(name)) for name in ordered.orders]
    counts: dict[str, int] = {}
    for item in items:
        counts[item.state] = counts.get(item.state, 0) + 1
    is_running = "under_way" in counts or "waiting" in counts
    state = "running" if is_running else "done"
    if batch.is_waiting or batch.cancelled_ms is not None:
        state = "waiting" if batch.is_waiting else "cancelled"
    return BatchView(
        id=ordered.batch_id,
        action=ordered.action,
        state=state,
        actor=ordered.actor,
        reason=ordered.reason,
        ordered_at=format_rfc3339(ordered.at_ms),
        starts_at=format_rfc3339(ordered.starts_ms),
        orders=len(ordered.orders),
        counts=counts,
        items=items[offset : offset + limit],
    )


def _reason(order: Order, action: str) -> str:
    """Why the batch leaves an order alone."""
    found = objection(order)
    case = order.case
    if found or case is None or case.state == CaseState.ADVISED:
        return found
    if action == BatchAction.REFUND and case.resolution is None:
        return ""  # the refund waits for what the case is waiting for
    return "" if action == BatchAction.NOTIFY else f"takeover_{case.state}"


def _worth(orders: Iterable[Order]) -> dict[str, int]:
    worth: dict[str, int] = {}
    for order in orders:
        if order.facts.amount_minor is not None:
            currency = order.facts.currency or "?"
            worth[currency] = worth.get(currency, 0) + order.facts.amount_minor
    return worth


def _chosen(order: Order, now_ms: int) -> Chosen:
    facts = order.facts
    age_s = order.age_ms(now_ms) / SECOND_MS
    return Chosen(order.order_id, age_s, facts.amount_minor, facts.currency)


def _item(batch: Batch, order_id: str, order: Order | None) -> Item:
    if batch.cancelled_ms is not None:
        return Item(order_id, "cancelled")
    if batch.begun_ms is None:
        return Item(order_id, "waiting")
    if order_id in batch.refused:
        return Item(order_id, "skipped", batch.refused[order_id])
    if order is None:
        return Item(order_id, "skipped", "past_retention")
    if batch.ordered.action in (BatchAction.TAKEOVER, BatchAction.RETRY):
        return _of_case(order_id, order.case)
    return _of_action(batch, order)


def _of_case(order_id: str, case: TakeoverCase | None) -> Item:
    assert case is not None, "a batch that began with an order opened its case"
    if case.state not in _ENDED:
        return Item(order_id, "under_way", case.state)
    if case.state == CaseState.DELIVERED:
        return Item(order_id, "done", case.resolution or "")
    if case.state == CaseState.VOIDED:
        return Item(order_id, "skipped", case.resolution or "")
    return Item(order_id, "failed", case.escalated_reason or "")


def _of_action(batch: Batch, order: Order) -> Item:
    batch_id = batch.ordered.batch_id
    action = next((one for one in order.actions if one.batch_id == batch_id), None)
    if action is None:  # it came to nothing, and a later batch asked for the order's one refund
        return Item(order.order_id, "skipped", "asked_again")
    state = _OF_ACTION.get(ActionState(action.state), "under_way")
    return Item(order.order_id, state, action.reason)
