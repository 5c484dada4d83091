"""A refund and a delivery of ours never both happen: the refund takes the order's resolution first.

no case            the shop decides: it does not refund what it has delivered, and from then on
we do not take the order over
a person has it    the case is resolved as refunded in the same commit: the machine stops, goods
are locked away, and only then the shop is asked
the machine works  wait: an answer is due, and it may be a delivery
one of two people  wait: whoever said that it is delivered may have given the goods
resolved           somebody was faster
"""

from __future__ import annotations

import msgspec

from monitor.core.orders.order import Order
from monitor.core.playbooks.deciding import TAKEOVER, ended, gone
from monitor.core.playbooks.hands import Hands
from monitor.core.takeover.machine import may_person_decide
from monitor.model.playbooks import Action, ActionState
from monitor.model.settings import Settings
from monitor.model.takeovers import CaseState
from monitor.model.times import MINUTE_MS

LOOK_AGAIN_MS = MINUTE_MS
# Cases in which nothing is under way between us and the shop.
AT_REST = (CaseState.ADVISED, CaseState.ESCALATED)


def refunded(order: Order, action: Action, settings: Settings, hands: Hands, now_ms: int) -> Action:
    """The refund as it is after it asked for the resolution: sent, waiting, called off or failed."""
    if not order.is_open:
        return ended(action, ActionState.CANCELLED, "closed", now_ms)
    if "refund" not in settings.shop_takes:
        return _never_left(ended(action, ActionState.FAILED, "no_refund_url", now_ms))
    if settings.fallback.mode != "enforce" and not action.is_person:
        return _never_left(ended(action, ActionState.FAILED, "refund_needs_a_person", now_ms))
    case = order.case
    if case is None:
        return gone(action, now_ms)
    if case.resolution is not None:
        return _never_left(ended(action, ActionState.CANCELLED, "resolved", now_ms))
    is_free = case.first_word_of is None and may_person_decide(case)
    if case.state in AT_REST and is_free and hands.give_up(order, now_ms):
        return gone(action, now_ms)
    return msgspec.structs.replace(
        action, state=ActionState.WAITING, reason=TAKEOVER, due_ms=now_ms + LOOK_AGAIN_MS,
        sent_ms=None, changed_ms=now_ms,
    )  # fmt: skip


def _never_left(action: Action) -> Action:
    return msgspec.structs.replace(action, sent_ms=None)
