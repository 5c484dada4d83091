"""What the log says about a rule's past: the evaluation each move of an alert was made with."""

from pathlib import Path

import pytest

from monitor.config.rules_file import load_rules
from monitor.core.views.explanation import Instance, explain_recorded, explain_rule
from monitor.model.alerts import Alert, Evidence
from monitor.model.evaluations import Step
from monitor.model.records import AlertMoved, record_decoder, record_encoder
from monitor.model.rules import Rule, RuleSet
from monitor.testing.scenario import START_MS, Scenario, delivered, paid, tick

RULES = """
groups:
  - name: g
    rules:
      - {alert: Late, expr: "delayed_ratio[1h] > 2% and orders[1h] > 3", by: [channel], for: 2m,
         resolve_when: "delayed_ratio[1h] < 1%", no_data: ok}
      - {alert: Waiting, expr: "open_orders > 2", by: [channel]}
"""
MINUTE_MS = 60_000


@pytest.fixture
def rules(tmp_path: Path) -> RuleSet:
    path = tmp_path / "r.yaml"
    path.write_text(RULES, encoding="utf-8")
    return load_rules([path])


def log_of(rules: RuleSet) -> list[AlertMoved]:
    """Ten orders on `a`, one a minute, three never delivered before 2 h: written and read again."""
    story = Scenario(rules=rules)
    for number in range(10):
        story.at(f"{number}m", paid(f"o{number}", channel="a"))
        if number < 7:
            story.at(f"{number}m8s", delivered(f"o{number}", channel="a"))
    story.at("2h", *(delivered(f"o{number}") for number in range(7, 10)))
    for number in range(20, 41):
        order_id = f"o{number}"
        story.at(f"{110 + number}m", paid(order_id, channel="a"))
        story.at(f"{110 + number}m1s", delivered(order_id))
    lines = [record_encoder.encode(one) for one in story.decisions()]
    read = [record_decoder.decode(line) for line in lines]
    return [one for one in read if isinstance(one, AlertMoved)]


def rule_of(rules: RuleSet, name: str) -> Rule:
    return next(one for one in rules.rules if one.alert == name)


def recorded(rules: RuleSet, minutes: float, name: str = "Late") -> Instance:
    at_ms = START_MS + round(minutes * MINUTE_MS)
    (one,) = explain_recorded(rule_of(rules, name), log_of(rules), at_ms).instances
    return one


def test_logged_move_explains_itself_after_a_restart(rules: RuleSet) -> None:
    """3 of 10 late at 12 min: pending with p 0.0009, firing two minutes later; all from the log."""
    pending = recorded(rules, 12.5)
    assert (pending.state, pending.condition.outcome) == ("pending", "true")
    ratio, orders = pending.condition.parts
    assert (ratio.text, ratio.gate, ratio.window_s) == ("delayed_ratio[1h] > 2%", "evidence", 3600)
    assert (ratio.k, ratio.n, ratio.limit) == (3, 10, 0.02)
    assert ratio.p == pytest.approx(0.00086390628, rel=1e-8)  # scipy binom.sf
    assert (orders.signal, orders.value) == ("orders", 10.0)
    assert pending.waiting is not None
    assert [why.code for why in pending.untold] == ["for", "severity"]
    firing = recorded(rules, 60)
    assert (firing.state, firing.recorded_at) == ("firing", firing.since)
    assert firing.told_at == firing.since


def test_the_condition_that_ended_an_alert_is_its_record(rules: RuleSet) -> None:
    """`resolve_when` was what moved it: it is the recorded one, with its own limit."""
    over = recorded(rules, 600)
    assert (over.state, over.reason) == ("inactive", "resolve_when")
    assert over.resolve_when is not None
    assert (over.resolve_when.text, over.resolve_when.outcome) == ("delayed_ratio[1h] < 1%", "true")
    assert (over.resolve_when.k, over.resolve_when.n) == (0, 2)
    assert over.condition.outcome == "false"
    assert over.untold == []


def test_only_what_was_written_by_then_is_told(rules: RuleSet) -> None:
    """Before the first move nothing is known; labels choose, and another rule's moves do not count."""
    rule, moves = rule_of(rules, "Late"), log_of(rules)
    early = START_MS + MINUTE_MS
    assert explain_recorded(rule, moves, early).instances == []
    late = START_MS + 60 * MINUTE_MS
    assert explain_recorded(rule, moves, late, {"channel": "b"}).instances == []
    assert len(explain_recorded(rule, moves, late, {"channel": "a"}).instances) == 1
    assert recorded(rules, 60, "Waiting").condition.text == "open_orders > 2"


def test_record_tells_what_the_engine_told_at_the_time(rules: RuleSet) -> None:
    """At the instant of the move, the log and the live explanation are the same tree."""
    story = Scenario(rules=rules)
    for number in range(3):
        story.at(f"{number}m", paid(f"o{number}", channel="a"))
    moved = [one for one in story.decisions() if isinstance(one, AlertMoved)][-1]
    (live,) = explain_rule(story.engine, "Waiting", moved.at_ms).instances
    (written,) = explain_recorded(rule_of(rules, "Waiting"), [moved], moved.at_ms).instances
    assert written.condition == live.condition


def test_lines_of_older_logs_are_read_and_say_what_they_know(rules: RuleSet) -> None:
    """Without an evaluation the alert's own evidence stands for it."""
    evidence = Evidence(0.3, 0.02, 3, 10, 0.00086, "delayed_ratio")
    alert = Alert("Late", (("channel", "a"),), "firing", "warning", "evidence", 1, 2, None,
                  None, 2, evidence)  # fmt: skip
    line = record_encoder.encode(AlertMoved(alert, "pending", 2))
    assert b"evaluation" not in line
    old = record_decoder.decode(line)
    assert isinstance(old, AlertMoved)
    assert old.evaluation is None
    (one,) = explain_recorded(rule_of(rules, "Late"), [old], 10).instances
    step = one.condition
    assert (step.outcome, step.reason, step.k, step.n, step.unit) == (
        "true", "evidence", 3, 10, "ratio",
    )  # fmt: skip


def test_evaluation_is_written_compactly() -> None:
    """What is not known costs no byte."""
    step = Step("open_orders > 2", "true", "threshold", "open_orders", "count", 3.0, 2.0, n=3)
    alert = Alert("Waiting", (), "firing", "warning")
    with_it, without = (
        len(record_encoder.encode(AlertMoved(alert, "inactive", 5, one))) for one in (step, None)
    )
    assert with_it - without < 160
    moved = AlertMoved(alert, "inactive", 5, step)
    assert record_decoder.decode(record_encoder.encode(moved)) == moved


def test_engine_that_was_restarted_has_the_same_story(rules: RuleSet) -> None:
    """Moves folded from the log leave the alerts where they were."""
    story = Scenario(rules=rules).at("0s", *(paid(f"o{n}", channel="a") for n in range(3)))
    story.at("1m", tick())
    again = Scenario(rules=rules)
    for one in story.decisions():
        if isinstance(one, AlertMoved):
            read = record_decoder.decode(record_encoder.encode(one))
            assert isinstance(read, AlertMoved)
            again.engine.control.apply(read)
    assert again.engine.control.alerts == story.engine.control.alerts
