"""Burn alerts from judged orders to verdict: the book, its table, and the evidence asked of it."""

from __future__ import annotations

import pytest

from monitor.core.orders.table import OrderTable
from monitor.core.rules.findings import Verdict
from monitor.core.rules.panel import Panel
from monitor.core.rules.parse import parse, signals_in
from monitor.core.rules.tables import SignalTable
from monitor.core.rules.vector import evaluate
from monitor.core.signals.observation import Names
from monitor.core.signals.slo import Fault, SloBook
from monitor.model.rules import Signal, Slo
from monitor.model.times import HOUR_MS, MINUTE_MS

NOW_MS = 490_833 * HOUR_MS
PAGE = "burn_rate(delivery, 1h) > 14.4 and burn_rate(delivery, 5m:20:1h) > 14.4 by (channel)"


class Budgets:
    """Side signals of a shop that has only a budget."""

    def __init__(self, book: SloBook, slo: Slo) -> None:
        self.book = book
        self.slo = slo

    def table(self, signal: Signal, *, is_split: bool) -> SignalTable:
        """Ask the book."""
        return self.book.table(signal, (self.slo,), NOW_MS, is_split=is_split)


def verdicts(text: str, orders: list[tuple[str, int, bool]], objective: float = 0.98) -> list[str]:
    """Orders as (channel, minutes ago, late); one verdict per channel, by name."""
    book = SloBook()
    for channel, minutes, is_late in orders:
        book.add(channel, NOW_MS - minutes * MINUTE_MS, Fault(is_breached=is_late))
    rule = parse(text)
    panel = Panel(OrderTable().observe(Names()), Budgets(book, Slo("delivery", objective)), NOW_MS)
    domain = panel.domain(rule.by, (), signals_in(rule.node))
    found = evaluate(rule.node, panel, domain, confidence=0.99, min_count=20)
    return [Verdict(code).name for code in found.verdicts.tolist()]


def minutes(channel: str, late: range | tuple[int, ...]) -> list[tuple[str, int, bool]]:
    return [(channel, minute, minute in late) for minute in range(60)]


def test_outage_pages_the_channel_it_is_on() -> None:
    """One order a minute: late for half an hour on one channel, never on the other."""
    orders = [*minutes("dead", range(30)), *minutes("well", ())]
    assert verdicts(PAGE, orders) == ["TRUE_BY_EVIDENCE", "BELOW"]


def test_outage_that_is_over_pages_nobody() -> None:
    """The hour still burns, the last five minutes (and 20 orders) do not."""
    assert verdicts(PAGE, minutes("auto", range(25, 60))) == ["BELOW"]


@pytest.mark.parametrize(
    ("late", "expected"), [(range(18), "SHORT_OF_EVIDENCE"), (range(30), "TRUE_BY_EVIDENCE")]
)
def test_burn_over_the_limit_needs_evidence(late: range, expected: str) -> None:
    """14.4 x 2 % = 28.8 % of 60 is 17.3: 18 late are chance (p 0.47), 30 are not (p 0.0004)."""
    text = "burn_rate(delivery, 1h) > 14.4 by (channel)"
    assert verdicts(text, minutes("auto", late)) == [expected]


def test_burn_of_more_than_all_orders_is_never_shown() -> None:
    """With a budget of 10 % a burn of 14.4 would need 144 % of orders."""
    assert verdicts(PAGE, minutes("auto", range(60)), objective=0.9) == ["BELOW"]
    text = "burn_rate(delivery, 1h) > 9.9 by (channel)"
    assert verdicts(text, minutes("auto", range(60)), objective=0.9) == ["SHORT_OF_EVIDENCE"]
