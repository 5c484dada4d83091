"""Rule files: compiled as written, or refused with every problem at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.config.rules_file import load_rules, load_shipped, shipped_path
from monitor.core.alerting.template import alert_values, render
from monitor.model.alerts import Alert, Evidence
from monitor.model.errors import ConfigError
from monitor.model.rules import Action, Comparison, Number, Signal, Window

JUDGED = Window(span_ms=600_000, min_orders=20, max_ms=21_600_000)

FULL = """\
groups:
  - name: delivery
    interval: 30s
    rules:
      - alert: Late
        expr: failed_ratio{channel="auto"}[10m] > 2% by (channel)
        for: 1m
        keep_firing_for: 5m
        resolve_when: failed_ratio[10m] < 1%
        labels: {team: ops, area: eu}
        annotations: {summary: "{{ value | percent }} failed"}
        severity: critical
        confidence: 0.999
        min_count: 5
        no_data: alert
        mode: shadow
        actions: [{type: failover}, {type: manual_review}]
        runbook_url: https://example.org/late
        owner: ops
"""


def problems(tmp_path: Path, *texts: str) -> list[str]:
    """Write the texts as 1.yaml, 2.yaml …; give the problems of loading the folder."""
    for number, text in enumerate(texts, start=1):
        (tmp_path / f"{number}.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_rules([tmp_path])
    return [str(problem).removeprefix(f"{tmp_path}/") for problem in caught.value.problems]


def rule_text(*lines: str) -> str:
    head = ("groups:", "  - name: g", "    rules:", "      - alert: A")
    return "\n".join((*head, *(f"        {line}" for line in lines))) + "\n"


def test_every_field_is_compiled(tmp_path: Path) -> None:
    """All fields of contract §4 reach the rule, durations in ms, pairs sorted."""
    (tmp_path / "full.yaml").write_text(FULL, encoding="utf-8")
    (rule,) = load_rules([tmp_path / "full.yaml"]).rules
    assert (rule.alert, rule.group, rule.interval_ms) == ("Late", "delivery", 30_000)
    assert rule.expr_text == 'failed_ratio{channel="auto"}[10m] > 2% by (channel)'
    assert rule.by == ("channel",)
    assert (rule.for_ms, rule.keep_firing_for_ms) == (60_000, 300_000)
    assert rule.resolve_when == Comparison(
        "<", Signal("failed_ratio", Window(span_ms=600_000)), Number(0.01)
    )
    assert rule.labels == (("area", "eu"), ("team", "ops"))
    assert rule.annotations == (("summary", "{{ value | percent }} failed"),)
    assert (rule.severity, rule.confidence, rule.min_count) == ("critical", 0.999, 5)
    assert (rule.no_data, rule.mode, rule.owner) == ("alert", "shadow", "ops")
    assert rule.actions == (Action("failover"), Action("manual_review"))
    assert rule.runbook_url == "https://example.org/late"


def test_defaults_are_those_of_the_contract(tmp_path: Path) -> None:
    """A rule of two lines."""
    (tmp_path / "r.yml").write_text(rule_text("expr: delayed_ratio > 2%"), encoding="utf-8")
    (rule,) = load_rules([tmp_path]).rules
    assert rule.expr == Comparison(">", Signal("delayed_ratio", JUDGED), Number(0.02))
    assert (rule.interval_ms, rule.for_ms, rule.by) == (15_000, 0, ())
    assert (rule.severity, rule.confidence, rule.min_count) == ("warning", 0.99, 2)
    assert (rule.no_data, rule.mode, rule.actions) == ("keep", "enforce", ())


def test_every_problem_of_every_file_is_reported(tmp_path: Path) -> None:
    """Spelling, expressions, labels, templates, types, duplicates: one run names all."""
    first = rule_text(
        "expr: delayd_ratio > 2%",
        "resolve_when: 'delayed_ratio < 3m'",
        "sevrity: warning",
        "by: [chanel]",
        "for: 1 minute",
        "min_count: 0",
        "no_data: off",
        'annotations: {summary: "{{ value | percnt }}"}',
        "actions: [{type: reboot}]",
        "max_false_alarms: 1 a month",
    )
    second = rule_text("for: 1m") + "      - expr: orders > 5\n        alert: B\n        mode: on\n"
    assert problems(tmp_path, first, second) == [
        "1.yaml:5:15 unknown signal 'delayd_ratio'; did you mean 'delayed_ratio'?",
        "1.yaml:6:40 the other side is a ratio; compare it with a percentage such as 2%",
        "1.yaml:7:9 unknown field 'sevrity'; did you mean 'severity'?",
        "1.yaml:9:14 groups[1].rules[1].for must be a duration such as 500ms, 60s, 3m, 6h, 30d",
        "1.yaml:10:20 groups[1].rules[1].min_count must be greater than or equal to 1",
        "1.yaml:11:18 groups[1].rules[1].no_data must be 'keep', 'ok' or 'alert'",
        "1.yaml:12:44 unknown filter 'percnt'; did you mean 'percent'?",
        "1.yaml:13:26 groups[1].rules[1].actions[1].type must be 'failover' or 'manual_review'",
        "1.yaml:14:27 groups[1].rules[1].max_false_alarms must be a number per time such as 1/30d",
        "2.yaml:4:9 field 'expr' is missing",
        f"2.yaml:4:16 alert 'A' is defined twice; the first is {tmp_path}/1.yaml:4",
        "2.yaml:8:15 groups[1].rules[2].mode must be 'enforce' or 'shadow'",
    ]


def test_endless_digits_are_no_duration(tmp_path: Path) -> None:
    """A number beyond every float is an error at its place, not a crash."""
    text = rule_text("expr: open_orders > 1", f"for: {'9' * 400}d")
    assert problems(tmp_path, text) == [
        "1.yaml:6:14 groups[1].rules[1].for must be a duration such as 500ms, 60s, 3m, 6h, 30d"
    ]


def test_labels_are_checked_against_the_signals(tmp_path: Path) -> None:
    """A label no signal of the rule has would make the same alert many times."""
    text = rule_text("expr: oldest_age > 3m and source_age > 3m", "by: [channel, source]")
    (tmp_path / "ok.yaml").write_text(text, encoding="utf-8")
    assert load_rules([tmp_path / "ok.yaml"]).rules[0].by == ("channel", "source")
    (tmp_path / "ok.yaml").unlink()
    assert problems(
        tmp_path,
        rule_text("expr: oldest_age > 3m", "by: [chanel]"),
        rule_text("expr: oldest_age > 3m", "by: [channel, channel]").replace("A", "B"),
        rule_text("expr: oldest_age > 3m by (channel)", "by: []").replace("A", "C"),
        rule_text("expr: oldest_age > 3m", "resolve_when: oldest_age < 1m by (channel)").replace(
            "A", "D"
        ),
    ) == [
        "1.yaml:6:14 unknown label 'chanel'; did you mean 'channel'?",
        "2.yaml:6:23 'channel' is given twice",
        "3.yaml:6:9 differs from the 'by' inside expr; keep one",
        "4.yaml:6:9 'by' belongs to expr",
    ]


def test_group_defaults_reach_every_rule_that_says_nothing_else(tmp_path: Path) -> None:
    """Fields of the rule win, labels and annotations add up, `by` inside expr counts as its own."""
    text = """\
groups:
  - name: g
    defaults:
      by: [channel]
      for: 2m
      owner: ops
      confidence: 0.999
      labels: {team: ops, area: eu}
    rules:
      - {alert: A, expr: delayed_ratio > 2%}
      - {alert: B, expr: delayed_ratio > 2% by (sku), for: 0s, labels: {area: us}}
      - {alert: C, expr: delayed_ratio > 2%, by: [], max_false_alarms: 1/30d}
"""
    (tmp_path / "r.yaml").write_text(text, encoding="utf-8")
    first, second, third = load_rules([tmp_path]).rules
    assert (first.by, first.for_ms, first.owner) == (("channel",), 120_000, "ops")
    assert (first.labels, first.confidence) == ((("area", "eu"), ("team", "ops")), 0.999)
    assert (second.by, second.for_ms) == (("sku",), 0)
    assert second.labels == (("area", "us"), ("team", "ops"))
    assert (third.by, third.max_false_alarms) == ((), "1/30d")


def test_mistakes_in_group_defaults_are_named_once_at_their_place(tmp_path: Path) -> None:
    """A misspelt field, a label no signal has, a broken template, two ways to say how sure."""
    text = """\
groups:
  - name: g
    defaults:
      oner: ops
      by: [chanel]
      annotations: {summary: "{{ value | percnt }}"}
      confidence: 0.9
      max_false_alarms: 1/30d
    rules:
      - {alert: A, expr: delayed_ratio > 2%}
      - {alert: B, expr: delayed_ratio > 2%}
"""
    assert problems(tmp_path, text) == [
        "1.yaml:4:7 unknown field 'oner'; did you mean 'owner'?",
        "1.yaml:5:12 unknown label 'chanel'; did you mean 'channel'?",
        "1.yaml:6:42 unknown filter 'percnt'; did you mean 'percent'?",
        "1.yaml:8:7 'max_false_alarms' stands instead of 'confidence'; keep one",
    ]


def test_allowed_false_alarms_become_a_confidence(tmp_path: Path) -> None:
    """30 days hold 4320 windows of ten minutes: one alarm is one in 4320 looks."""
    text = rule_text("expr: delayed_ratio[10m:20:6h] > 2%", "max_false_alarms: 1/30d")
    (tmp_path / "r.yaml").write_text(text, encoding="utf-8")
    (rule,) = load_rules([tmp_path]).rules
    assert rule.confidence == pytest.approx(1 - 1 / 4320, abs=1e-12)
    assert rule.max_false_alarms == "1/30d"


def test_allowed_false_alarms_of_an_untested_signal_are_refused(tmp_path: Path) -> None:
    """A mean has no tail probability that could be made stricter."""
    text = rule_text("expr: mean_delay > 3m", "confidence: 0.9", "max_false_alarms: 1/30d")
    untested, twice = problems(tmp_path, text)
    needs = "1.yaml:7:9 'max_false_alarms' needs a signal that is tested for evidence; these are "
    assert untested.startswith(f"{needs}delayed_ratio, bad_ratio, ")
    assert twice == "1.yaml:7:9 'max_false_alarms' stands instead of 'confidence'; keep one"


def test_folded_expression_names_the_column_in_words(tmp_path: Path) -> None:
    """Where columns of file and text differ, the message says the column of the text."""
    assert problems(tmp_path, rule_text("expr: >-", "  orders > 5", "  and order > 5")) == [
        "1.yaml:5:15 unknown signal 'order'; did you mean 'orders'? (column 16 of expr)"
    ]


def test_names_no_alert_fills_in_are_refused_where_they_stand(tmp_path: Path) -> None:
    """Labels written in the rule or in its group are names too, in the group's texts as well."""
    text = """\
groups:
  - name: g
    defaults:
      labels: {team: ops}
      annotations: {help: "{{ team }} {{ area }} {{ tema }}"}
    rules:
      - alert: A
        expr: delayed_ratio > 2%
        labels: {area: eu}
        annotations: {summary: "{{ cuont }} in {{ area }} of {{ team }} on {{ channel }}"}
  - name: h
    rules:
      - alert: B
        expr: delayed_ratio > 2%
        annotations: {summary: "{{ area }}"}
"""
    refused = problems(tmp_path, text)
    assert refused[:2] == [
        "1.yaml:5:53 unknown name 'tema'; did you mean 'team'?",
        "1.yaml:10:36 unknown name 'cuont'; did you mean 'count'?",
    ]
    assert refused[2].startswith("1.yaml:15:36 unknown name 'area'; ")
    assert len(refused) == 3


def test_regular_expressions_and_divisions_by_zero_are_refused(tmp_path: Path) -> None:
    """Both would be rules that are quiet for ever."""
    assert problems(
        tmp_path,
        rule_text("""expr: 'delayed_ratio{channel=~"^pool.*$"} > 2%'"""),
        rule_text("expr: orders / (3 - 3) > 1").replace("A", "B"),
    ) == [
        (
            "1.yaml:5:39 '=~' takes a list of globs such as a|b*, and '^pool.*$' is a regular "
            "expression; write 'pool*'"
        ),
        "2.yaml:5:24 division by zero: the quotient never has a value",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1.yaml:1:1 the file must be a mapping of keys to values"),
        ("groups: 3", "1.yaml:1:9 groups must be a list"),
        ("groups: [3]", "1.yaml:1:10 groups[1] must be a mapping of keys to values"),
        ("groups: [{name: a}]", "1.yaml:1:10 field 'rules' is missing"),
        ("group: []", "1.yaml:1:1 field 'groups' is missing"),
        ("groups: [{name: a, rules: [x]}]", "1.yaml:1:28 groups[1].rules[1] must be a mapping"),
        ("groups: [{name: a, rules: [{alert: '', expr: 5}]}]", "1.yaml:1:36 groups[1].rules[1]"),
        ("groups: [{name: a, interval: 0s, rules: []}]", "1.yaml:1:30 groups[1].interval must be"),
        ("groups: [", "1.yaml:1:10 is not valid YAML"),
        ("a: 1\na: 2", "1.yaml:2:1 'a' is given twice"),
    ],
)
def test_file_of_another_shape_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    """Nothing, numbers, wrong lists, broken YAML: always a problem with a place."""
    assert problems(tmp_path, text)[0].startswith(expected)


def test_missing_files_and_empty_folders_are_named(tmp_path: Path) -> None:
    """A path that gives no rules is a mistake, not an empty rule set."""
    with pytest.raises(ConfigError) as caught:
        load_rules([tmp_path, tmp_path / "none.yaml"])
    assert [str(problem) for problem in caught.value.problems] == [
        f"{tmp_path}:1:1 holds no *.yaml rule file",
        f"{tmp_path}/none.yaml:1:1 cannot be read: No such file or directory",
    ]


def test_shipped_rules_are_those_of_the_contract() -> None:
    """The eight rules of contract §4 and those about what is missing, with their severities."""
    rules = {rule.alert: rule for rule in load_shipped().rules}
    assert {name: rule.severity for name, rule in rules.items()} == {
        "DeliveryStalled": "critical",
        "DelayedOver2Percent": "warning",
        "MeanOver3Minutes": "critical",
        "HealthIndexLow": "warning",
        "OldestOrderWaiting": "info",
        "SourceSilent": "warning",
        "PaymentListenerSilent": "critical",
        "CallbackDrought": "warning",
        "ShopSilent": "warning",
        "PaidWithoutAttempt": "warning",
        "WorkerDead": "warning",
        "EmitterLag": "warning",
        "WebhookDisabled": "warning",
        "UpstreamWalletLow": "warning",
        "StockLedgerMismatch": "warning",
        "GatewayPaidShopUnpaid": "warning",
    }
    stalled = rules["DeliveryStalled"]
    assert (stalled.for_ms, stalled.expr) == (
        0,
        Comparison(">", Signal("cusum_ratio"), Number(1.0)),
    )
    assert stalled.resolve_when == Comparison("<", Signal("cusum_ratio"), Number(0.5))
    assert stalled.interval_ms <= 5_000
    late = rules["DelayedOver2Percent"]
    assert (late.for_ms, late.keep_firing_for_ms, late.by) == (60_000, 300_000, ("channel",))
    assert late.resolve_when == Comparison("<", Signal("delayed_ratio", JUDGED), Number(0.01))
    assert rules["MeanOver3Minutes"].actions == (Action("manual_review"),)
    assert (shipped_path() / "default.yaml").is_file()


def test_shipped_annotations_leave_no_gap() -> None:
    """In both languages every name of every template has a value."""
    labels = (("channel", "auto"), ("provider", "alipay"), ("source", "main"), ("sku", "card"))
    for rule in load_shipped().rules:
        assert [name for name, _ in rule.annotations] == ["summary", "summary_zh"]
        comparison = rule.expr
        assert isinstance(comparison, Comparison)
        assert isinstance(comparison.left, Signal)
        evidence = Evidence(200.0, 100.0, 3, 10, 0.001, comparison.left.name)
        alert = Alert(rule.alert, labels, "firing", rule.severity, evidence=evidence)
        for _, template in rule.annotations:
            text = render(template, alert_values(alert))
            assert "<no" not in text
            assert "{" not in text
