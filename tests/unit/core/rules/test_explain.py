"""An explanation names every part of a condition, and tells the story of the decision itself."""

import pytest

from monitor.core.rules.explain import Explainer, text_of
from monitor.core.rules.panel import Panel
from monitor.core.rules.parse import parse
from monitor.core.rules.vector import evaluate
from monitor.model.evaluations import Step
from monitor.testing.scenario import Scenario, delivered, paid, tick

# Ten orders on `a`, one a minute: seven after 8 s, three never; looked at after 20 min.
TEXT = "delayed_ratio[1h] > 2%"


def panel_of(late: int) -> Panel:
    scenario = Scenario()
    for number in range(10):
        scenario.at(f"{number}m", paid(f"o{number}", channel="a"))
        if number >= late:
            scenario.at(f"{number}m8s", delivered(f"o{number}", channel="a"))
    scenario.at("20m", tick())
    engine = scenario.engine
    return engine.control.panel(engine.view(scenario.now_ms))


def explained(text: str, late: int = 3) -> Step:
    panel = panel_of(late)
    domain = panel.domain(("channel",))
    return Explainer(panel, domain, confidence=0.99, min_count=2).step(parse(text).node, 0)


def test_ratio_has_its_count_window_and_evidence() -> None:
    """P(X >= 3 | 10, 2 %) = 0.00086, P(X >= 1 | 10, 2 %) = 1 - 0.98^10 = 0.183."""
    step = explained(TEXT)
    assert (step.outcome, step.reason, step.k, step.n) == ("true", "evidence", 3, 10)
    assert (step.value, step.limit, step.unit, step.window_s) == (0.3, 0.02, "ratio", 3600.0)
    assert (step.gate, step.needed) == ("evidence", 0.01)
    assert step.found == pytest.approx(0.000864, abs=1e-5)
    quiet = explained(TEXT, late=1)
    assert (quiet.outcome, quiet.reason) == ("false", "insufficient_evidence")
    assert quiet.found == pytest.approx(0.1829, abs=1e-4)


def test_mean_has_its_trimmed_mean() -> None:
    """One order of ten waits since 20 min: (9 x 8 s + 20 min) / 10 = 127 s, without it 8 s."""
    step = explained("mean_delay[1h] > 1m", late=1)
    assert (step.outcome, step.reason, step.gate) == ("false", "trimmed_mean", "trimmed_mean")
    assert step.value == pytest.approx(127.2)
    assert (step.found, step.needed) == (8.0, 60.0)


def test_health_has_its_index_without_the_worst() -> None:
    """0.5 + 0.5 ln(age/5 min)/ln 6 of 18, 19, 20 min is 0.857, 0.873, 0.887: 26.2 of 10, 19.2 of 9."""
    step = explained("health_index[30m] < 80")
    assert (step.outcome, step.reason, step.gate) == ("false", "trimmed_health", "trimmed_health")
    assert step.value == pytest.approx(73.83, abs=0.01)
    assert step.found == pytest.approx(80.78, abs=0.01)
    assert step.needed == 80.0
    few = explained("health_index[8m] < 80")  # only the three that wait weigh
    assert (few.outcome, few.gate, few.found, few.needed) == ("insufficient", "min_count", 3, 5)


def test_limit_that_is_read_is_shown_with_its_evidence() -> None:
    """3 of 10 late in the hour against 20 % in the two before it."""
    step = explained("delayed_ratio[1h] > 2 * delayed_ratio[6h]")
    assert (step.signal, step.limit, step.k, step.n) == ("delayed_ratio", 0.6, 3, 10)
    assert (step.gate, step.window_s, step.unit) == ("evidence", 3600.0, "ratio")


def test_too_few_orders_are_said() -> None:
    """A window that holds one judged order."""
    step = explained("delayed_ratio[last 1] > 2%")
    assert (step.outcome, step.gate, step.found, step.needed) == (
        "insufficient", "min_count", 1.0, 2.0,
    )  # fmt: skip


def test_logic_is_a_tree_and_each_part_stands_for_itself() -> None:
    """`not` shows what its operand is, not its opposite."""
    step = explained(f"{TEXT} and not (open_orders > 100 or oldest_age > 1h)")
    assert step.outcome == "true"
    first, second = step.parts
    assert (first.outcome, second.outcome) == ("true", "true")
    assert second.text == "not (open_orders > 100 or oldest_age > 1h)"
    (inner,) = second.parts
    assert [part.outcome for part in (inner, *inner.parts)] == ["false"] * 3
    assert [part.value for part in inner.parts] == [3.0, 1200.0]


@pytest.mark.parametrize("late", [0, 1, 3])
@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        "not (delayed_ratio[1h] <= 2%)",
        "2% < bad_ratio[1h:5:2h]",
        "p90_delay[1h] > 3m or health_index < 70",
        "orders[1h] - 2 * open_orders > 3",
        "source_age > 1m and cusum_ratio > 1",
        "p50_delay[1h] > 2 * baseline(p50_delay) or mean_delay[1h] > 2 * p50_delay[1h]",
        "delayed_ratio[6h] < delayed_ratio[5m] or not health_index >= 70",
    ],
)
def test_explanation_comes_to_what_the_evaluation_comes_to(text: str, late: int) -> None:
    """Outcome and reason of the root are those of the decision."""
    panel = panel_of(late)
    domain = panel.domain(("channel",))
    node = parse(text).node
    finding = evaluate(node, panel, domain, confidence=0.99, min_count=2).at(0)
    step = Explainer(panel, domain, confidence=0.99, min_count=2).step(node, 0)
    assert (step.outcome, step.reason) == (finding.outcome, finding.reason)


@pytest.mark.parametrize(
    "text",
    [
        'delayed_ratio{channel=~"a|b*"}[10m:20:6h] > 2.5%',
        "mean_delay[last 50] > 3m",
        "burn_rate(delivery)[1h] > 14.4",
        "(open_orders > 1 or orders[30m] > 2) and oldest_age > 30m",
        "not (health_index < 70)",
        "p95_delay[30m] > 2 * baseline(p95_delay)",
        "(open_orders + 1) * 2 > 10",
    ],
)
def test_text_reads_as_the_rule_was_written(text: str) -> None:
    """Parsing it again gives the same tree."""
    node = parse(text).node
    assert parse(text_of(node)).node == node
    assert text_of(node) == text
