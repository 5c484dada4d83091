"""What is told and asked of the world when something was decided: each decision as its commands.

    alert   outdated messages are dropped, receivers are told
    switch  the last epoch's command is dropped, the shop and people are told
    case    its effects, what they make pointless, and messages about the big steps
    tier    people are told of one order

The engine decides and applies; the texts and addresses are `announce`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from monitor.core import announce
from monitor.core.orders.order import Order
from monitor.core.takeover.desk import Moved
from monitor.model.commands import Cancel, Command, Perform
from monitor.model.effects import Effect
from monitor.model.records import AlertMoved, SwitchDecided, TierReached
from monitor.model.rules import Rule
from monitor.model.settings import Settings
from monitor.model.takeovers import CaseState

_TOLD_STATES = {
    CaseState.DELIVERED: "takeover.delivered",
    CaseState.ESCALATED: "takeover.escalated",
}


def performed(effects: Iterable[Effect]) -> Iterator[Command]:
    """Effects as commands."""
    return (Perform(effect) for effect in effects)


def of_alert(settings: Settings, rule: Rule | None, moved: AlertMoved) -> Iterator[Command]:
    """An alert moved; a rule in shadow only records."""
    if rule is None or rule.mode != "shadow":
        yield from (Cancel(key) for key in announce.outdated_keys(settings, moved))
        yield from performed(announce.announce_alert(settings, rule, moved))


def of_switch(settings: Settings, decided: SwitchDecided) -> Iterator[Command]:
    """A switch was decided: only the newest epoch counts."""
    if decided.epoch > decided.prev_epoch and decided.prev_epoch:
        yield Cancel(announce.switch_key(decided.prev_epoch))
    yield from performed(announce.announce_switch(settings, decided))


def of_case(settings: Settings, moved: Moved) -> Iterator[Command]:
    """A takeover case moved."""
    yield from performed(moved.effects)
    yield from (Cancel(key) for key in moved.cancels)
    if moved.previous is None:
        yield from performed(announce.announce_opened(settings, moved.case))
    told = _TOLD_STATES.get(CaseState(moved.case.state))
    if told is not None and (moved.previous != moved.case.state or moved.is_reminder):
        yield from performed(announce.announce_takeover(settings, told, moved.case))


def of_tier(
    settings: Settings, order: Order, channel: str, reached: TierReached, now_ms: int
) -> Iterator[Command]:
    """An order has waited so long that people hear of it; it must be paid."""
    assert order.facts.paid_ms is not None
    told = announce.OrderView(
        order_id=order.order_id,
        channel=channel,
        age_ms=order.age_ms(now_ms),
        promise_ms=order.facts.promise_ms,
        paid_ms=order.facts.paid_ms,
        sku=order.facts.sku,
    )
    return performed(announce.announce_tier(settings, told, reached.tier, now_ms))
