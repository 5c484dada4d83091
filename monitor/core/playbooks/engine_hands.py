"""The hands of an engine, as the tiered response uses them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from monitor.core.engine_state import EngineState
from monitor.core.orders.order import Order
from monitor.core.playbooks.hands import Hands
from monitor.core.playbooks.prospects import Prospects
from monitor.core.takeover.desk import Moved
from monitor.model.effects import Effect
from monitor.model.records import ActionsMoved, CaseResolved, CrowdMoved

ACTOR = "playbook"  # who resolves a case where a playbook does


def hands_of(
    state: EngineState,
    *,
    decide: Callable[[ActionsMoved | CrowdMoved], None],
    perform: Callable[[Iterable[Effect]], None],
    cancel: Callable[[str], None],
    take: Callable[[Moved | None, int], None],
    open_cases: Callable[[Iterable[Order], int], None],
) -> Hands:
    """Make the hands of what an engine can do; `take` logs a case that moved."""

    def take_over(order: Order, now_ms: int) -> str:
        if state.settings.fallback.mode == "observe":
            return "fallback_observes"
        if order.case is None:
            open_cases((order,), now_ms)
        return "" if order.case is not None else "fallback_limit"

    def give_up(order: Order, now_ms: int) -> bool:
        assert order.case is not None
        word = CaseResolved(order.case.takeover_id, "refunded", ACTOR, now_ms)
        moved = state.desk.person(word, now_ms)
        take(moved, now_ms)
        return moved is not None and moved.case.resolution == "refunded"

    return Hands(
        order=state.shard.orders.get,
        channel_of=state.channel_of,
        decide=decide,
        perform=perform,
        cancel=cancel,
        take_over=take_over,
        give_up=give_up,
        p_late=Prospects(state).p_late,
    )
