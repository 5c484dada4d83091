"""All rules at one instant: windows found together change nothing, and moves carry their evaluation."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.alerting.watch import Watch
from monitor.core.rules.panel import Panel
from monitor.core.rules.parse import parse
from monitor.model.evaluations import Step
from monitor.model.records import AlertMoved
from monitor.model.rules import Node, Rule, RuleSet
from tests.unit.core.rules.worlds import (
    NOW_MS,
    Order,
    Side,
    conditions,
    label_lists,
    rows_of,
    sides,
    worlds,
)


def moves_of(rules: RuleSet, written: Sequence[Order], side: Side, *, prepared: bool) -> list[AlertMoved]:  # fmt: skip
    watch, found = Watch(rules), []
    for turn in range(2):
        panel = Panel(rows_of(written if turn else []), side, NOW_MS + 1_000 * turn)
        if prepared:
            watch.prepare([rule.alert for rule in rules.rules], panel)
        for rule in rules.rules:
            for moved in watch.evaluate(rule, panel):
                watch.apply(moved)
                found.append(moved)
    return found


@settings(deadline=None, max_examples=80)
@given(st.lists(st.tuples(conditions, label_lists), min_size=1, max_size=4), worlds, sides)
def test_windows_found_together_move_the_same_alerts(
    given_rules: list[tuple[Node, tuple[str, ...]]], written: Sequence[Order], side: Side
) -> None:
    """With and without preparing: the same moves with the same evaluations."""
    rules = RuleSet(tuple(
        Rule(f"R{number}", "", node, "g", 15_000, by=by)
        for number, (node, by) in enumerate(given_rules)
    ))  # fmt: skip
    plain, prepared = (
        moves_of(rules, written, side, prepared=whether) for whether in (False, True)
    )
    assert plain == prepared


def test_windows_of_all_due_rules_are_found_in_one_search() -> None:
    """Only those of the rules that are due, one search for each way to split orders."""
    texts = ("delayed_ratio[10m] > 2%", "mean_delay[5m:3:1h] > 3m", "delayed_ratio[7m] > 2%")
    rules = RuleSet(tuple(
        Rule(f"R{number}", text, parse(text).node, "g", 15_000, by=("channel",))
        for number, text in enumerate(texts)
    ))  # fmt: skip
    panel, watch = Panel(rows_of([]), Side([0.5]), NOW_MS), Watch(rules)
    watch.prepare(["R0", "R1", "unknown"], panel)
    domain = panel.domain(("channel",))
    assert not domain.instances  # nothing seen, nothing to search
    orders = [
        {"paid_ms": NOW_MS - 9_000, "deadline_ms": NOW_MS, "end_ms": NOW_MS - 1_000, "breach_ms": 0,
         "taken_ms": 0, "kind": 1, "channel": 0, "source": 0, "provider": 0, "sku": 0, "is_held": 0,
         "is_unconfirmed": 0},
    ]  # fmt: skip
    panel = Panel(rows_of(orders), Side([0.5]), NOW_MS)
    watch.prepare(["R0", "R1", "unknown"], panel)
    (grouped,) = panel._grouped.values()
    assert len(grouped._since) == 2


def test_silence_of_a_source_is_the_reason_of_the_record() -> None:
    """`no_data: alert` while late orders are left out: the record says why, not only `below`."""
    text = "delayed_ratio[1h] > 90%"
    rule = Rule("R", text, parse(text).node, "g", 15_000, no_data="alert")
    good = {"paid_ms": NOW_MS - 9_000, "deadline_ms": NOW_MS, "end_ms": NOW_MS - 1_000,
            "breach_ms": 0, "taken_ms": 0, "kind": 1, "channel": 0, "source": 0, "provider": 0,
            "sku": 0, "is_held": 0, "is_unconfirmed": 0}  # fmt: skip
    late = {**good, "kind": 0, "end_ms": 0, "breach_ms": NOW_MS - 5, "deadline_ms": NOW_MS - 5,
            "is_unconfirmed": 1}  # fmt: skip
    (moved,) = Watch(RuleSet((rule,))).evaluate(
        rule, Panel(rows_of([good, good, late]), Side([0.5]), NOW_MS)
    )
    assert (moved.alert.state, moved.alert.reason) == ("firing", "source_silent")
    assert isinstance(moved.evaluation, Step)
    assert (moved.evaluation.outcome, moved.evaluation.reason) == ("no_data", "source_silent")
    assert (moved.evaluation.k, moved.evaluation.n) == (0, 2)
