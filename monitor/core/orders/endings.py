"""An order is both paid and done for the first time: what is counted of that, in all books."""

from __future__ import annotations

from monitor.core.orders.facts import Facts
from monitor.core.orders.history import History
from monitor.core.orders.lifecycle import verdict
from monitor.core.orders.order import Order
from monitor.core.orders.tallies import Tallies
from monitor.core.orders.totals import Totals


def is_first_end(before: Facts, facts: Facts) -> bool:
    """Whether an order is paid and done now and was not before."""
    done_ms = facts.done_ms
    if done_ms is None or facts.paid_ms is None:
        return False
    return before.paid_ms is None or before.done_ms is None


def count_end(
    order: Order, channel: str, now_ms: int, totals: Totals, history: History, tallies: Tallies
) -> None:
    """Count an order that ended, for the channel that it is counted for."""
    facts = order.facts
    paid_ms, done_ms, delivered_ms = facts.paid_ms, facts.done_ms, facts.delivered_ms
    assert paid_ms is not None
    assert done_ms is not None
    tallies.count_pace(channel, order)
    totals.count_order(channel, verdict(facts, done_ms))
    if delivered_ms is None:
        history.add(done_ms, channel, facts.sku, None, received_ms=now_ms)
        return
    if order.handed_over_ms is None:  # ours come from elsewhere than the shop's stock
        tallies.gauges.sell(facts.sku, facts.quantity, now_ms)
    delay_ms = max(delivered_ms - paid_ms, 0)
    totals.count_delay(channel, delay_ms)
    history.add(delivered_ms, channel, facts.sku, delay_ms, received_ms=now_ms)
