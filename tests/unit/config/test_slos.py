"""SLOs and learned limits of rule files: compiled with their alerts, or refused at their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.config.rules_file import load_rules
from monitor.config.rules_schema import DAYS
from monitor.core.alerting.template import alert_values, render
from monitor.core.rules.parse import parse
from monitor.model.alerts import Alert, Evidence
from monitor.model.rules import LearnedLimit, RuleSet, Slo
from monitor.model.times import DAY_MS
from tests.unit.config.test_rules_file import problems

FULL = """\
slos:
  - name: delivery
    objective: 98%
    window: 28d
    sli: {metric: bad_ratio}
    by: [channel]
    min_count: 20
    preset: google-30d
    labels: {team: ops}
    owner: ops
"""
DAY_OF_ONE = "[" + ", ".join(["1m"] * 24) + "]"
WEEK = "{" + ", ".join(f"{day}: {DAY_OF_ONE}" for day in DAYS[1:]) + "}"
TAKEN = """\
{slos: [{name: a, objective: 98, preset: google-30d}],
groups: [{name: g, rules: [{alert: ABudgetBurnPage1h, expr: orders > 1}]}]}
"""
LEARNED = """\
learned:
  - signal: p95_delay
    channel: "auto"
    method: pot
    target: 1%
    n: 812
    from: "2026-01-01T00:00:00Z"
    to: "2026-03-01T00:00:00+08:00"
    excluded: [{from: 2026-02-01T00:00:00Z, to: 2026-02-02T00:00:00Z}]
    overall: 95.2s
"""


def load(tmp_path: Path, text: str) -> RuleSet:
    (tmp_path / "rules.yaml").write_text(text, encoding="utf-8")
    return load_rules([tmp_path / "rules.yaml"])


def test_objective_is_compiled(tmp_path: Path) -> None:
    """Every field; and what is left out has the defaults of the language."""
    assert load(tmp_path, FULL).slos == (
        Slo(
            "delivery", 0.98, 28 * DAY_MS, "bad_ratio", ("channel",), 20, (("team", "ops"),), "ops"
        ),
    )
    short = load(tmp_path, "slos: [{name: quick-2, objective: 99.9}]")
    assert short == RuleSet(slos=(Slo("quick-2", 0.999),))
    assert short.slos[0].budget == 0.001


def test_preset_makes_the_four_alerts_of_the_workbook(tmp_path: Path) -> None:
    """Ordinary rules, each with a long and a short window; the short one reaches for 20 orders."""
    rules = load(tmp_path, FULL).rules
    assert [(rule.alert, rule.severity) for rule in rules] == [
        ("DeliveryBudgetBurnPage1h", "critical"),
        ("DeliveryBudgetBurnPage6h", "critical"),
        ("DeliveryBudgetBurnTicket1d", "warning"),
        ("DeliveryBudgetBurnTicket3d", "warning"),
    ]
    assert [rule.expr_text for rule in rules] == [
        "burn_rate(delivery, 1h) > 14.4 and burn_rate(delivery, 5m:20:1h) > 14.4",
        "burn_rate(delivery, 6h) > 6 and burn_rate(delivery, 30m:20:6h) > 6",
        "burn_rate(delivery, 1d) > 3 and burn_rate(delivery, 2h:20:1d) > 3",
        "burn_rate(delivery, 3d) > 1 and burn_rate(delivery, 6h:20:3d) > 1",
    ]
    assert all(rule.expr == parse(rule.expr_text).node for rule in rules)
    first = rules[0]
    assert (first.by, first.min_count, first.owner) == (("channel",), 20, "ops")
    assert first.labels == (("slo", "delivery"), ("team", "ops"))


@pytest.mark.parametrize("by", ["[channel]", "[]"])
def test_messages_of_generated_alerts_leave_no_gap(tmp_path: Path, by: str) -> None:
    """In both languages, with and without a channel."""
    evidence = Evidence(15.0, 14.4, 30, 100, 0.001, "burn_rate")
    for rule in load(tmp_path, FULL.replace("[channel]", by)).rules:
        labels = (*rule.labels, *((name, "auto") for name in rule.by))
        alert = Alert(rule.alert, labels, "firing", rule.severity, evidence=evidence)
        for _, template in rule.annotations:
            text = render(template, alert_values(alert))
            assert "30" in text
            assert "<no" not in text
            assert "{" not in text


def test_own_alerting_replaces_the_preset(tmp_path: Path) -> None:
    """One ticket instead of four alerts."""
    text = FULL + "    alerting: {ticket: [{long: 90m, short: 10m, burn: 2.5}]}\n"
    (rule,) = load(tmp_path, text).rules
    assert (rule.alert, rule.severity) == ("DeliveryBudgetBurnTicket90m", "warning")
    assert rule.expr_text.startswith("burn_rate(delivery, 90m) > 2.5 and ")


def test_rule_may_name_the_objective_of_a_later_file(tmp_path: Path) -> None:
    """Files are one whole; an objective nobody wrote is an error at its column."""
    rule = "groups: [{name: g, rules: [{alert: A, expr: 'burn_rate(delivry, 1h) > 2'}]}]"
    (tmp_path / "1.yaml").write_text(rule.replace("delivry", "delivery"), encoding="utf-8")
    (tmp_path / "2.yaml").write_text("slos: [{name: delivery, objective: 98}]", encoding="utf-8")
    assert [one.alert for one in load_rules([tmp_path]).rules] == ["A"]
    assert problems(tmp_path, rule) == [
        "1.yaml:1:56 unknown SLO 'delivry'; did you mean 'delivery'? (known are delivery)"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("slos: [{name: a, objective: 0.98}]", "1:29 slos[1].objective must be a percentage from"),
        ("slos: [{name: a, objective: 100%}]", "1:29 slos[1].objective must be a percentage from"),
        ("slos: [{name: a, objective: most}]", "1:29 slos[1].objective must be a percentage such"),
        ("slos: [{name: a b, objective: 98}]", "1:15 slos[1].name"),
        ("slos: [{name: a}]", "1:8 field 'objective' is missing"),
        ("slos: [{name: a, objective: 98, sli: {metrik: x}}]", "1:39 unknown field 'metrik'; did"),
        ("slos: [{name: a, objective: 98, by: [sku]}]", "1:38 slos[1].by[1] must be 'channel'"),
        ("slos: [{name: a, objective: 98, preset: x}]", "1:41 slos[1].preset must be 'google-30d'"),
        ("slos: [{name: a, objective: 98, window: 60d}]", "1:41 slos[1].window must be"),
        ("slos: [{name: a, objective: 98}, {name: a, objective: 9}]",
         "1:41 SLO 'a' is defined twice; the first is"),
        ("slos: [{name: a, objective: 90, preset: google-30d}]",
         "1:41 a burn of 14.4 with a budget of 0.1 would need 144% of all orders to be bad; raise"),
        ("slos: [{name: a, objective: 98, alerting: {page: [{long: 1h, short: 1h, burn: 2}]}}]",
         "1:51 slos[1].alerting.page[1] needs a 'short' window that is shorter than 'long'"),
        (TAKEN,
         "1:42 alert 'ABudgetBurnPage1h' is defined twice; the first is"),
    ],
)  # fmt: skip
def test_mistake_in_an_objective_is_named_at_its_place(
    tmp_path: Path, text: str, expected: str
) -> None:
    """Types, spelling, names given twice, alerts that could never fire."""
    assert problems(tmp_path, text)[0].startswith(f"1.yaml:{expected}")


def test_learned_limit_is_read_with_its_provenance(tmp_path: Path) -> None:
    """One value for all hours, or one for each, Monday first."""
    (limit,) = load(tmp_path, LEARNED).learned
    assert limit == LearnedLimit(
        signal="p95_delay",
        channel="auto",
        by_hour=(95.2,),
        n=812,
        method="pot",
        from_ms=1_767_225_600_000,
        to_ms=1_772_294_400_000,
        excluded=((1_769_904_000_000, 1_769_990_400_000),),
        target=0.01,
    )
    assert limit.limit_s(100) == 95.2
    monday = "[" + ", ".join(f"{hour + 1}s" for hour in range(24)) + "]"
    text = f"{LEARNED}    by_hour: {{mon: {monday}, {WEEK[1:]}\n"
    (hourly,) = load(tmp_path, text).learned
    assert len(hourly.by_hour) == 168
    assert [hourly.limit_s(hour) for hour in (0, 23, 24, 167)] == [1.0, 24.0, 60.0, 60.0]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("p95_delay", "orders", "2:13 learned[1].signal must be"),
        ("pot", "guess", "4:13 learned[1].method must be 'quantile' or 'pot'"),
        ("1%", "one", "5:13 learned[1].target must be a percentage such as 98%"),
        ("812", "0", "6:8 learned[1].n must be"),
        ('"2026-01-01T00:00:00Z"', "2026-01-01", "7:11 learned[1].from must be a time with a zone"),
        ("2026-01-01", "2027-01-01", "2:5 learned[1] needs a 'from' that is before its 'to'"),
        ("95.2s", "0s", "10:14 learned[1].overall must be a duration such as 95.2s"),
        ("overall", "overal", "2:5 field 'overall' is missing"),
        ("overall: 95.2s", f"overall: 95.2s\n    by_hour: {WEEK}",
         "11:14 field 'mon' is missing"),
    ],
)  # fmt: skip
def test_mistake_in_a_learned_limit_is_named_at_its_place(
    tmp_path: Path, old: str, new: str, expected: str
) -> None:
    """A limit without provenance is no limit."""
    assert problems(tmp_path, LEARNED.replace(old, new))[0].startswith(f"1.yaml:{expected}")


def test_same_limit_twice_is_refused(tmp_path: Path) -> None:
    """Two files that both know what is normal on a channel contradict each other."""
    (problem,) = problems(tmp_path, LEARNED, LEARNED)
    place, _, first = problem.partition("learned limit 'p95_delay auto' is defined twice; ")
    assert (place, first) == ("2.yaml:2:13 ", f"the first is {tmp_path}/1.yaml:2")
