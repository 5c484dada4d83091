"""Rules become PromQL over the metrics of the contract, or a comment with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.config.prometheus_export import Exported, export
from monitor.config.rules_file import load_rules, load_shipped
from monitor.core.rules.parse import parse
from monitor.model.rules import Rule, RuleSet, Slo


def exported(expr: str, slos: tuple[Slo, ...] = (), **fields: Any) -> Exported:
    """One rule, exported."""
    rule = Rule("A", expr, parse(expr).node, "g", 15_000, **fields)
    return export(RuleSet((rule,), slos))


def expr_of(expr: str, **fields: Any) -> str:
    """The PromQL of one rule."""
    (group,) = yaml.safe_load(exported(expr, **fields).text)["groups"]
    return str(group["rules"][0]["expr"])


def reason(expr: str, **fields: Any) -> str:
    """Why one rule is left out."""
    done = exported(expr, **fields)
    (said,) = done.said
    assert not said.is_exported
    assert f"      # A is not exported: {said.notes[0]}" in done.text.splitlines()
    assert yaml.safe_load(done.text)["groups"][0]["rules"] == []
    return said.notes[0]


DELAYED = 'delivery_orders_total{verdict="late_pending"}[10m]'
JUDGED = 'delivery_orders_total{verdict!="late_delivered"}[10m]'


def test_ratio_is_late_orders_of_judged_ones_with_its_guards() -> None:
    """Two orders at least, and two late ones: one of two is 4 % at a limit of 2 %, both 0.04 %."""
    assert expr_of("delayed_ratio[10m] > 2%", by=("channel",)) == (
        f"(sum by (channel) (increase({DELAYED})) / sum by (channel) (increase({JUDGED}))) > 0.02"
        f" and sum by (channel) (increase({JUDGED})) >= 1.5"
        f" and sum by (channel) (increase({DELAYED})) >= 1.5"
    )


@pytest.mark.parametrize(
    ("expr", "promql"),
    [
        ("oldest_age > 30m", "max(delivery_oldest_open_order_age_seconds) > 1800"),
        ('open_orders{channel="a"} >= 5', 'sum(delivery_open_orders{channel="a"}) >= 5'),
        ("health_index < 70", 'max(delivery_health_index{scope="*"}) < 70'),
        ('health_index{channel="a"} < 70', 'max(delivery_health_index{scope!="*",scope="a"}) < 70'),
        (
            "cusum_ratio > 1",
            (
                '(max(delivery_cusum{channel="*"} / delivery_cusum_limit{channel="*"})'
                " or max(delivery_cusum / delivery_cusum_limit)) > 1"
            ),
        ),
        (
            'cusum_ratio{channel="a"} > 1',
            'max(delivery_cusum{channel="a"} / delivery_cusum_limit{channel="a"}) > 1',
        ),
        (
            "orders[1h] < 5",
            'sum(increase(delivery_events_total{type="order.paid",outcome="accepted"}[1h])) < 5',
        ),
        ("throughput[5m] == 0", "sum(rate(delivery_delay_seconds_count[5m])) == 0"),
        (
            "mean_delay[10m:10:6h] > 3m",
            'max(delivery_delay_window_seconds{stat="mean",window="15m"}) > 180',
        ),
        (
            "speed_ratio < 0.5",
            (
                '(sum(increase(delivery_observed_total{channel!="*"}[15m])) / '
                'sum(increase(delivery_expected_total{channel!="*"}[15m]))) < 0.5'
            ),
        ),
        (
            "open_orders > 5 and not (oldest_age < 1m or health_index >= 70)",
            (
                "(sum(delivery_open_orders) > 5) and "
                "((max(delivery_oldest_open_order_age_seconds) >= 60) and "
                '(max(delivery_health_index{scope="*"}) < 70))'
            ),
        ),
        (
            "open_orders / 2 > throughput[5m] * 60",
            "(sum(delivery_open_orders) / 2) > (sum(rate(delivery_delay_seconds_count[5m])) * 60)",
        ),
        (
            'open_orders{channel=~"a.b|c*",channel!="d\\""} > 5',
            'sum(delivery_open_orders{channel=~"a\\\\.b|c.*",channel!="d\\""}) > 5',
        ),
        ("2 * 60s < oldest_age", "max(delivery_oldest_open_order_age_seconds) > 120"),
    ],
)
def test_signals_are_written_over_our_metrics(expr: str, promql: str) -> None:
    """Each with the metric of contract §7 that says the same."""
    assert expr_of(expr) == promql


def test_percentile_is_read_from_the_histogram() -> None:
    """Adaptive windows fall back to the longer reach while the short one holds too few."""
    text = expr_of("p95_delay[10m:20:6h] > 5m")
    short = "histogram_quantile(0.95, sum by (le) (rate(delivery_delay_seconds_bucket[10m])))"
    long = short.replace("10m", "6h")
    count = "sum(increase(delivery_delay_seconds_count[10m])) >= 19.5"
    assert text == (
        f"(({short} and {count}) or {long}) > 300"
        " and sum(increase(delivery_delay_seconds_count[6h])) >= 1.5"
    )


def test_burn_rate_is_the_ratio_over_the_budget_with_its_guards() -> None:
    """98 % leave 2 %, 14.4 times that is 28.8 %: of 20 orders P(X >= 12) = 0.0035, P(X >= 11) 0.012.

    The rest of the budget is one minus what burned.
    """
    slo = Slo("shop", 0.98)
    bad = 'sum(increase(delivery_orders_total{verdict="late_pending"}[1h]))'
    judged = 'sum(increase(delivery_orders_total{verdict!="late_delivered"}[1h]))'
    ratio = f"({bad} / {judged})"
    assert expr_of("burn_rate(shop, 1h) > 14.4", slos=(slo,)) == (
        f"({ratio} / 0.02) > 14.4 and {judged} >= 19.5 and {bad} >= 11.5"
    )
    month = ratio.replace("1h", "30d")
    assert expr_of("budget_remaining(shop) < 10%", slos=(slo,)) == f"(1 - {month} / 0.02) < 0.1"
    assert "no SLO is called 'other'" in reason("burn_rate(other, 1h) > 1", slos=(slo,))


@pytest.mark.parametrize(
    ("expr", "why"),
    [
        ("delayed_ratio[last 50] > 2%", "metrics know only time"),
        ('delayed_ratio{provider="alipay"} > 2%', "no metric has the label 'provider'"),
        ("consecutive_late > 3", "consecutive_late: there is no metric"),
        ("source_silent > 0", "source_silent: there is no metric"),
        ("source_age > 5m", "source_age: there is no metric"),
        ("arrival_ratio < 0.5", "arrival_ratio: there is no metric"),
        ("paid_ratio < 50%", "paid_ratio: there is no metric"),
        ("callback_lag > 90s", "callback_lag: there is no metric"),
        ("stock(card) < 5", "stock: there is no metric"),
        ("p95_delay > baseline(p95_delay)", "learned limits are not metrics"),
        ('orders{channel="a"} < 5', "payments are not counted by channel"),
        ('health_index{channel=~"a*"} < 70', "several channels together"),
    ],
)
def test_what_has_no_metric_is_a_comment_with_the_reason(expr: str, why: str) -> None:
    """Never silently left out, never something else in its place."""
    assert why in reason(expr)


def test_shadow_rules_and_other_labels_are_left_out() -> None:
    """A shadow rule tells nobody; a metric has no label `sku`."""
    assert reason("open_orders > 5", mode="shadow") == "mode: shadow tells nobody"
    assert reason("delayed_ratio > 2%", by=("sku",)) == "no metric has the label 'sku'"


def test_hysteresis_asks_whether_the_alert_fires() -> None:
    """It goes on until resolve_when holds."""
    resolve = parse("open_orders < 2").node
    assert expr_of("open_orders > 5", resolve_when=resolve, by=("channel",)) == (
        "(sum by (channel) (delivery_open_orders) > 5) or "
        "((sum by (channel) (delivery_open_orders) and on (channel) "
        'ALERTS{alertname="A",alertstate="firing"}) unless on (channel) '
        "(sum by (channel) (delivery_open_orders) < 2))"
    )
    done = exported("open_orders > 5", resolve_when=parse("stock(x) > 2").node)
    assert done.said[0].notes[0].startswith("resolve_when is not exported: stock:")


def test_fields_labels_and_templates_are_carried_over(tmp_path: Path) -> None:
    """Names in ASCII, durations exact, values humanized, texts untouched."""
    path = tmp_path / "r.yaml"
    path.write_text(
        """
groups:
  - name: 发货
    interval: 90s
    rules:
      - alert: 渠道慢
        expr: oldest_age > 90m
        for: 90s
        keep_firing_for: 1h30m
        by: [channel]
        labels: {team: 运维, 1st: x, "a b": y}
        owner: ops
        runbook_url: https://wiki.example/r
        severity: critical
        no_data: alert
        annotations: {summary: "{{ channel }} waits {{ age }} of {{ limit }}: {{ rule }}"}
""",
        encoding="utf-8",
    )
    done = export(load_rules([path]))
    (group,) = yaml.safe_load(done.text)["groups"]
    assert (group["name"], group["interval"]) == ("u53d1u8d27", "90s")
    (rule,) = group["rules"]
    assert rule == {
        "alert": "u6e20u9053u6162",
        "expr": "max by (channel) (delivery_oldest_open_order_age_seconds) > 5400",
        "for": "90s",
        "keep_firing_for": "90m",
        "labels": {"team": "运维", "_1st": "x", "a_b": "y", "severity": "critical"},
        "annotations": {
            "summary": "{{ $labels.channel }} waits {{ $value | humanizeDuration }} of 1h30m: 渠道慢",
            "owner": "ops",
            "runbook_url": "https://wiki.example/r",
        },
    }
    assert "no_data: alert is not exported; missing data is silent here" in done.said[0].notes


def test_names_that_look_alike_in_ascii_stay_apart() -> None:
    """Prometheus would take two alerts of one name for one."""
    rules = [
        Rule(name, "", parse("orders > 1").node, "g", 15_000) for name in ("a b", "a_b", "a-b")
    ]
    (group,) = yaml.safe_load(export(RuleSet(tuple(rules))).text)["groups"]
    assert [rule["alert"] for rule in group["rules"]] == ["a_b", "a_b_2", "a_b_3"]


def test_no_rules_are_an_empty_file() -> None:
    """And the same rules always give the same text."""
    assert yaml.safe_load(export(RuleSet()).text) == {"groups": []}
    assert export(load_shipped()) == export(load_shipped())
