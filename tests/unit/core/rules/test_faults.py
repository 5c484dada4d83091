"""What cannot be evaluated keeps its state and says why; nothing raises, nothing is NaN."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.cli.explanation_text import render_explanation
from monitor.core.alerting.watch import Watch
from monitor.core.rules.explain import Explainer
from monitor.core.rules.findings import OUTCOMES
from monitor.core.rules.panel import Panel
from monitor.core.rules.parse import parse, signals_in
from monitor.core.rules.tables import SignalTable
from monitor.core.rules.vector import evaluate
from monitor.core.views.explanation import explain_rule
from monitor.model.alerts import AlertState
from monitor.model.evaluations import Step
from monitor.model.records import AlertMoved, record_encoder
from monitor.model.rules import SIDE_SIGNALS, Node, Rule, RuleSet, Signal, Slo
from monitor.testing.scenario import Scenario, paid, tick
from tests.unit.core.rules.worlds import NOW_MS, Order, conditions, label_lists, rows_of, worlds

NUMBERS = st.sampled_from(
    [0.0, -0.0, 0.5, 1.0, 180.0, -3.0, 1e308, -1e308, 5e-324, math.inf, -math.inf, math.nan]
)


class Broken:
    """Side tables of anything: no names, strange names, NaN, infinities, counts that lie."""

    def __init__(self, drawn: tuple[list[float], int, bool, float | None]) -> None:
        self.numbers, self.size, self.has_counts, self.share = drawn

    def __repr__(self) -> str:
        return f"Broken({self.numbers}, {self.size}, {self.has_counts}, {self.share})"

    def table(self, signal: Signal, *, is_split: bool) -> SignalTable:
        label = SIDE_SIGNALS[signal.name] or None
        is_one = not is_split or label is None
        names = ("",) if is_one else ("a", "gone", "mall", "*")[: self.size]
        values = np.array([self.numbers[i % len(self.numbers)] for i in range(len(names))])
        if not self.has_counts:
            return SignalTable(None if is_one else label, names, values)
        k, n = np.array([3, 0, 7, 9])[: len(names)], np.array([10, 0, 2, 9])[: len(names)]
        return SignalTable(
            None if is_one else label, names, values, k=k, n=n,
            p=values[::-1].copy(), is_proven=values > 0, share_per_unit=self.share,
        )  # fmt: skip


broken = st.tuples(
    st.lists(NUMBERS, min_size=1, max_size=4),
    st.integers(0, 4),
    st.booleans(),
    st.sampled_from([None, 0.0, 0.02, 5.0, 1e308]),
).map(Broken)


def assert_plain(step: Step) -> None:
    assert step.outcome in OUTCOMES
    assert step.reason
    numbers = (step.value, step.limit, step.p, step.window_s, step.found, step.needed)
    assert all(one is None or math.isfinite(one) for one in numbers)
    for part in step.parts:
        assert_plain(part)


@settings(deadline=None, max_examples=250)
@given(conditions, worlds, broken, label_lists)
def test_anything_is_judged_and_explained(
    node: Node, written: Sequence[Order], side: Broken, by: tuple[str, ...]
) -> None:
    """Random trees over random tables: an outcome, a reason and finite numbers, never an exception."""
    panel = Panel(rows_of(written), side, NOW_MS)
    domain = panel.domain(by, [tuple("gone" for _ in by)] if by else [], signals_in(node))
    found = evaluate(node, panel, domain, confidence=0.99, min_count=2)
    explainer = Explainer(panel, domain, confidence=0.99, min_count=2)
    for index in range(len(domain)):
        one, step = found.at(index), explainer.step(node, index)
        assert (step.outcome, step.reason) == (one.outcome, one.reason)
        assert_plain(step)
        msgspec.json.decode(msgspec.json.encode(step), type=Step)


@settings(deadline=None, max_examples=60)
@given(conditions, conditions, worlds, st.lists(broken, min_size=2, max_size=4), label_lists,
       st.sampled_from(["keep", "ok", "alert"]))  # fmt: skip
def test_alerts_step_through_anything(
    expr: Node, resolve: Node, written: Sequence[Order], sides: list[Broken],
    by: tuple[str, ...], no_data: str,
) -> None:  # fmt: skip
    """One instant after the other with other tables: every move can be written to the log."""
    rule = Rule("R", "", expr, "g", 15_000, resolve_when=resolve, by=by, no_data=no_data)
    watch = Watch(RuleSet((rule,)))
    for number, side in enumerate(sides):
        panel = Panel(rows_of(written), side, NOW_MS + 15_000 * number)
        watch.prepare(["R", "gone"], panel)
        for moved in watch.evaluate(rule, panel):
            watch.apply(moved)
            assert moved.evaluation is not None
            assert record_encoder.encode(moved)


@settings(deadline=None, max_examples=60)
@given(conditions, worlds, label_lists)
def test_nothing_known_never_ends_an_alert(
    expr: Node, written: Sequence[Order], by: tuple[str, ...]
) -> None:
    """Whatever fires, goes on firing when orders and tables are gone, unless the rest says false."""
    rule = Rule("R", "", expr, "g", 15_000, by=by)
    watch = Watch(RuleSet((rule,)))
    full, nothing = Broken(([0.5, 2.0], 4, True, 0.02)), Broken(([math.nan], 0, False, None))
    for rows, side in ((written, full), ((), nothing)):
        panel = Panel(rows_of(rows), side, NOW_MS)
        for moved in watch.evaluate(rule, panel):
            watch.apply(moved)
            if not rows and moved.alert.state == AlertState.INACTIVE:
                assert moved.evaluation is not None
                assert moved.evaluation.outcome == "false"


# --- by name ------------------------------------------------------------------------------------


def rule(expr: str, **fields: object) -> Rule:
    fields = {"group": "g", "interval_ms": 15_000, **fields}
    return Rule("R", expr, parse(expr).node, **fields)  # type: ignore[arg-type]  # fields of a Rule


def shop(rules: RuleSet) -> Scenario:
    """Twenty orders on `a`, none delivered: everything that can fire does."""
    story = Scenario(rules=rules)
    for number in range(20):
        story.at(f"{number * 10}s", paid(f"o{number}", channel="a"))
    return story.at("10m", tick())


def the_alert(story: Scenario) -> tuple[str, str]:
    (alert,) = (one for one in story.engine.control.alerts.values() if one.rule == "R")
    return alert.state, alert.reason


def explained(story: Scenario) -> str:
    return render_explanation(explain_rule(story.engine, "R", story.now_ms))


def test_objective_that_a_reload_removed_keeps_the_alert_and_is_named() -> None:
    """The rule fires, the SLO goes: no data, still firing, and `rules explain` says which signal."""
    rules = RuleSet((rule("burn_rate(delivery)[1h] > 2", by=("channel",)),),
                    (Slo("delivery", 0.98, by=("channel",), min_count=2),))  # fmt: skip
    story = shop(rules)
    assert the_alert(story) == ("firing", "evidence")
    story.engine.configure(story.engine.settings, RuleSet(rules.rules))
    story.at("30m", tick())
    assert the_alert(story) == ("firing", "evidence")
    assert "burn_rate(delivery)[1h] has no data (no_data)" in explained(story)


def test_channel_that_vanished_keeps_its_alert_and_is_explained() -> None:
    """When no order of it is left there is no data, and missing data is no recovery."""
    rules = RuleSet((rule("mean_delay[10m] > 3m", by=("channel",)),))
    before = shop(rules)
    assert the_alert(before)[0] == "firing"
    story = Scenario(rules=rules)  # the same log, without the orders
    for one in before.decisions():
        if isinstance(one, AlertMoved):
            story.engine.control.apply(one)
    story.at("1h", paid("later", channel="b")).at("2h", tick())
    assert the_alert(story)[0] == "firing"
    assert "mean_delay[10m] has no data (no_data)" in explained(story)


HUGE = "open_orders" + 30 * " * 100000000000"


@pytest.mark.parametrize(
    ("expr", "said"),
    [
        ('delayed_ratio{sku="gone"}[1h] > 2%', 'delayed_ratio{sku="gone"}[1h] has no data'),
        ("paid_ratio < 50%", "paid_ratio has no data"),
        ("stock(gone) < 5", "stock(gone) has no data"),
        ("p95_delay[1h] > 2 * baseline(p95_delay)", "baseline(p95_delay) has no data"),
        ("open_orders / throughput[1h] > 600", "is divided by zero"),
        (f"{HUGE} * 0 > 1", "is not a number"),
    ],
)
def test_what_is_not_known_is_named(expr: str, said: str) -> None:
    """No alert, no exception, and the missing part in words."""
    story = shop(RuleSet((rule(expr),)))
    assert not [one for one in story.engine.control.alerts.values() if one.rule == "R"]
    text = explained(story)
    assert said in text, text
    assert "there is no data" in text
