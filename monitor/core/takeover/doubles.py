"""Has a buyer got the goods twice, from the shop and from us? The worst that can happen.

The second delivery may show in three ways, whichever comes last: the shop reports its own one, the
shop takes ours although the case has left our hands, or a case ends with ours. Each is looked at
when it is folded or applied, so that a pair that came in one batch counts once, in any order.
"""

from __future__ import annotations

from typing import assert_never

from monitor.core.orders.order import Order
from monitor.model.events import EventType, OrderEvent
from monitor.model.records import CaseMoved, HandOverAnswered
from monitor.model.takeovers import CaseState

LEFT_OUR_HANDS = (CaseState.ESCALATED, CaseState.VOIDED)


def is_double(order: Order, news: OrderEvent | HandOverAnswered | CaseMoved) -> bool:
    """Whether the news make a second delivery of the order certain.

    `order` has the timeline with the news and the case before them.
    """
    case = order.case
    if case is None:
        return False
    match news:
        case OrderEvent():
            is_of_shop = news.type == EventType.DELIVERED and news.takeover_id != case.takeover_id
            return is_of_shop and case.state == CaseState.DELIVERED
        case HandOverAnswered():
            is_late = news.outcome == "delivered" and case.state in LEFT_OUR_HANDS
            return is_late and _is_delivered_by_shop(order, case.takeover_id)
        case CaseMoved():
            is_end = case.state != CaseState.DELIVERED and (
                news.case.resolution == "delivered_fallback"
            )
            return is_end and _is_delivered_by_shop(order, case.takeover_id)
        case _:
            assert_never(news)


def _is_delivered_by_shop(order: Order, takeover_id: str) -> bool:
    return any(
        event.type == EventType.DELIVERED and event.takeover_id != takeover_id
        for event in order.timeline
    )
