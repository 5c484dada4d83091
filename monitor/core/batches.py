"""Batches: one word of a person for many orders, carried out order by order once its time comes.

    ordered ──starts_ms──► begun: each order gets its action, or a reason why not
       └──cancelled        nothing was done

A batch only begins things; what becomes of each order is its takeover case's or its action's
business, and is read from there. Beginning is one decision for the whole batch, so after a crash it
has begun for all of them or for none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from monitor.core.orders.order import Order
from monitor.model.batches import Batch, BatchAction, BatchCancelled, BatchMoved, BatchOrdered
from monitor.model.ids import CANARY_PREFIX

BATCHES_MAX = 200  # kept for reading; the oldest that has begun gives way
WAITING_MAX = 100  # not begun yet; the API refuses more


class Means(NamedTuple):
    """What the engine does for a batch; each says why nothing was begun, empty if it was."""

    order: Callable[[str], Order | None]
    take_over: Callable[[Order, str | None, int], str]  # the kind of channel, None for any
    act: Callable[[Order, BatchOrdered, int], str]  # tells or pays back
    decide: Callable[[BatchMoved], None]


class Batches:
    """Batches by id, the oldest first; changed only through `apply`."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self.by_id: dict[str, Batch] = {}

    def order(self, ordered: BatchOrdered, now_ms: int) -> None:
        """Take a person's order in; it begins at once if it need not wait."""
        if ordered.batch_id in self.by_id:
            return
        self._means.decide(BatchMoved(Batch(ordered), now_ms))
        self.look(now_ms)

    def cancel(self, cancelled: BatchCancelled, now_ms: int) -> None:
        """Take a batch back that has not begun."""
        batch = self.by_id.get(cancelled.batch_id)
        if batch is not None and batch.is_waiting:
            over = msgspec.structs.replace(batch, cancelled_ms=now_ms)
            self._means.decide(BatchMoved(over, now_ms))

    def look(self, now_ms: int) -> None:
        """Begin what is due."""
        due = [one for one in self.by_id.values() if one.is_waiting]
        for batch in due:
            if now_ms >= batch.ordered.starts_ms:
                self._begin(batch, now_ms)

    def next_ms(self) -> int | None:
        """When a batch begins next."""
        waiting = (one.ordered.starts_ms for one in self.by_id.values() if one.is_waiting)
        return min(waiting, default=None)

    def apply(self, moved: BatchMoved) -> None:
        """Make a move true; live and in recovery alike."""
        self.by_id[moved.batch.ordered.batch_id] = moved.batch
        over = [name for name, one in self.by_id.items() if not one.is_waiting]
        for name in over[: max(len(self.by_id) - BATCHES_MAX, 0)]:
            del self.by_id[name]

    def restore(self, batches: Iterable[Batch]) -> None:
        """Take over a snapshot."""
        self.by_id = {one.ordered.batch_id: one for one in batches}

    def _begin(self, batch: Batch, now_ms: int) -> None:
        ordered = batch.ordered
        refused = {}
        for order_id in ordered.orders:
            refusal = self._begin_one(ordered, order_id, now_ms)
            if refusal:
                refused[order_id] = refusal
        begun = msgspec.structs.replace(batch, begun_ms=now_ms, refused=refused)
        self._means.decide(BatchMoved(begun, now_ms))

    def _begin_one(self, ordered: BatchOrdered, order_id: str, now_ms: int) -> str:
        order = self._means.order(order_id)
        if order is None:
            return "unknown_order"
        refusal = objection(order)
        if refusal:
            return refusal
        match ordered.action:
            case BatchAction.TAKEOVER:
                return self._means.take_over(order, None, now_ms)
            case BatchAction.RETRY:
                return self._means.take_over(order, "shop_retry", now_ms)
            case _:
                return self._means.act(order, ordered, now_ms)


def objection(order: Order) -> str:
    """Why nothing is to be done for an order, whatever is asked; empty if something may be."""
    if order.order_id.startswith(CANARY_PREFIX):
        return "synthetic"
    if order.facts.paid_ms is None:
        return "unpaid"
    return "" if order.is_open else "closed"
